package main

import (
	"context"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tidelog/clients/line"
)

// member is a group member, or with `alone` a consumer by assignment.
type member struct {
	*line.Member
	client *kgo.Client
	group  string
	alone  bool
	cancel context.CancelFunc
	done   chan struct{}
}

// backwards is the custom assignor of README.
type backwards struct{}

func (backwards) ProtocolName() string { return "backwards" }
func (backwards) IsCooperative() bool  { return false }

func (backwards) JoinGroupMetadata(topics []string, _ map[string][]int32, _ int32) []byte {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Topics = topics
	meta.UserData = []byte("hello")
	return meta.AppendTo(nil)
}

func (backwards) ParseSyncAssignment(data []byte) (map[string][]int32, error) {
	return kgo.ParseConsumerSyncAssignment(data)
}

func (b backwards) MemberBalancer(
	all []kmsg.JoinGroupResponseMember,
) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	made, err := kgo.NewConsumerBalancer(b, all)
	if err != nil {
		return nil, nil, err
	}
	return made, made.MemberTopics(), nil
}

func (backwards) Balance(b *kgo.ConsumerBalancer, topics map[string]int32) kgo.IntoSyncAssignment {
	all := b.Members()
	sort.Slice(all, func(i, j int) bool { return all[i].MemberID > all[j].MemberID })
	every := map[string][]int32{}
	for topic, count := range topics {
		for number := int32(0); number < count; number++ {
			every[topic] = append(every[topic], number)
		}
	}
	plan := b.NewPlan()
	for n, part := range line.Flat(every) {
		plan.AddPartition(&all[n%len(all)], part.Topic, part.Number)
	}
	return plan
}

var balancers = map[string]kgo.GroupBalancer{
	"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(),
	"sticky": kgo.StickyBalancer(), "cooperative": kgo.CooperativeStickyBalancer(),
	"custom": backwards{},
}

func keep(name string, made *member) {
	ctx, cancel := context.WithCancel(context.Background())
	made.cancel, made.done = cancel, make(chan struct{})
	mutex.Lock()
	members[name] = made
	mutex.Unlock()
	go made.run(ctx)
}

func (m *member) run(ctx context.Context) {
	defer close(m.done)
	for ctx.Err() == nil {
		fetches := m.client.PollFetches(ctx)
		for _, bad := range fetches.Errors() {
			if ctx.Err() == nil {
				m.Fail(codeOf(bad.Err), bad.Err.Error())
			}
		}
		fetches.EachRecord(func(record *kgo.Record) { m.Got(stored(record)) })
		m.client.AllowRebalance()
	}
}

func join(r *line.Request) (line.Ok, error) {
	if r.Reset == "" {
		r.Reset = "earliest"
	}
	made := &member{Member: line.NewMember(), group: r.Group}
	options := []kgo.Opt{
		kgo.ConsumerGroup(r.Group), kgo.ConsumeTopics(r.Topics...),
		kgo.Balancers(balancers[r.Assignor]), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(offsetOf(r.Reset, 0)), kgo.SessionTimeout(ms(r.SessionMs)),
		kgo.HeartbeatInterval(ms(r.HeartbeatMs)), kgo.RebalanceTimeout(ms(r.RebalanceMs)),
		kgo.MetadataMaxAge(ms(r.MetadataMs)),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			made.Note("assigned", line.Flat(parts))
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, _ *kgo.Client, parts map[string][]int32) {
			if r.CommitOnRevoke {
				gone := map[line.Partition]bool{}
				for _, part := range line.Flat(parts) {
					gone[part] = true
				}
				offsets := []line.Offset{}
				for _, offset := range made.Positions(nil) {
					if gone[offset.Partition] {
						offsets = append(offsets, offset)
					}
				}
				if err := made.commit(ctx, offsets); err != nil {
					made.Fail(nil, err.Error())
				}
			}
			made.Note("revoked", line.Flat(parts))
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			made.Note("lost", line.Flat(parts))
		}),
	}
	if r.Reset == "none" {
		options = append(options, kgo.ConsumeStartOffset(kgo.NewOffset().AtCommitted()))
	}
	if r.AutoCommitMs > 0 {
		options = append(options, kgo.AutoCommitInterval(ms(r.AutoCommitMs)))
	} else {
		options = append(options, kgo.DisableAutoCommit())
	}
	if r.Instance != "" {
		options = append(options, kgo.InstanceID(r.Instance))
	}
	made.client = open(options...)
	keep(r.Member, made)
	return nil, nil
}

func assign(r *line.Request) (line.Ok, error) {
	if r.Reset == "" {
		r.Reset = "earliest"
	}
	committed, err := admin.FetchOffsets(within(20), r.Group)
	if err != nil {
		return nil, failure(err)
	}
	made := &member{Member: line.NewMember(), group: r.Group, alone: true}
	starts := map[string]map[int32]kgo.Offset{}
	for _, part := range r.List() {
		start := offsetOf(r.Reset, 0)
		if found, ok := committed.Lookup(part.Topic, part.Number); ok && found.At >= 0 {
			start = kgo.NewOffset().At(found.At)
		}
		if starts[part.Topic] == nil {
			starts[part.Topic] = map[int32]kgo.Offset{}
		}
		starts[part.Topic][part.Number] = start
	}
	made.Note("assigned", r.List())
	made.client = open(kgo.ConsumePartitions(starts),
		kgo.ConsumeResetOffset(offsetOf(r.Reset, 0)))
	keep(r.Member, made)
	return nil, nil
}

// commit commits in the group's name and waits.
func (m *member) commit(ctx context.Context, offsets []line.Offset) error {
	if m.alone || hasMetadata(offsets) {
		return m.commitByRequest(ctx, offsets)
	}
	var problem error
	m.client.CommitOffsetsSync(ctx, epochs(offsets), answered(&problem))
	return failure(problem)
}

func epochs(offsets []line.Offset) map[string]map[int32]kgo.EpochOffset {
	found := map[string]map[int32]kgo.EpochOffset{}
	for _, offset := range offsets {
		if found[offset.Topic] == nil {
			found[offset.Topic] = map[int32]kgo.EpochOffset{}
		}
		found[offset.Topic][offset.Number] = kgo.EpochOffset{Epoch: -1, Offset: offset.At}
	}
	return found
}

type onCommit = func(*kgo.Client, *kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse, error)

func answered(problem *error) onCommit {
	return func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse,
		err error,
	) {
		*problem = err
		if err != nil {
			return
		}
		for _, topic := range answer.Topics {
			for _, part := range topic.Partitions {
				if err := kerr.ErrorForCode(part.ErrorCode); err != nil {
					*problem = err
				}
			}
		}
	}
}

func hasMetadata(offsets []line.Offset) bool {
	for _, offset := range offsets {
		if offset.Metadata != "" {
			return true
		}
	}
	return false
}

// commitByRequest carries metadata, which kgo's own commits do only by a context hook.
func (m *member) commitByRequest(ctx context.Context, offsets []line.Offset) error {
	if m.alone {
		var all kadm.Offsets
		for _, offset := range offsets {
			all.Add(kadm.Offset{
				Topic: offset.Topic, Partition: offset.Number, At: offset.At, LeaderEpoch: -1,
				Metadata: offset.Metadata,
			})
		}
		return failure(admin.CommitAllOffsets(ctx, m.group, all))
	}
	notes := map[line.Partition]string{}
	for _, offset := range offsets {
		notes[offset.Partition] = offset.Metadata
	}
	hooked := kgo.PreCommitFnContext(ctx, func(request *kmsg.OffsetCommitRequest) error {
		for i := range request.Topics {
			for j := range request.Topics[i].Partitions {
				part := &request.Topics[i].Partitions[j]
				note := notes[line.Partition{Topic: request.Topics[i].Topic, Number: part.Partition}]
				part.Metadata = &note
			}
		}
		return nil
	})
	var problem error
	m.client.CommitOffsetsSync(hooked, epochs(offsets), answered(&problem))
	return failure(problem)
}

func find(name string) *member {
	mutex.Lock()
	defer mutex.Unlock()
	return members[name]
}

func commit(r *line.Request) (line.Ok, error) {
	made := find(r.Member)
	offsets := made.Positions(r.Offsets)
	if r.How == "async" {
		var problem error
		done := make(chan struct{})
		set := answered(&problem)
		made.client.CommitOffsets(within(20), epochs(offsets), func(
			client *kgo.Client, request *kmsg.OffsetCommitRequest,
			answer *kmsg.OffsetCommitResponse, err error,
		) {
			set(client, request, answer, err)
			close(done)
		})
		<-done
		return nil, failure(problem)
	}
	return nil, made.commit(within(20), offsets)
}

func groupOffsets(group string, list []line.Partition) (line.Ok, error) {
	found, err := admin.FetchOffsets(within(20), group)
	if err != nil {
		return nil, failure(err)
	}
	offsets := []line.Offset{}
	for _, part := range list {
		got, ok := found.Lookup(part.Topic, part.Number)
		if ok && got.Err != nil {
			return nil, failure(got.Err)
		}
		if !ok {
			got.At, got.Metadata = -1, ""
		}
		offsets = append(offsets, line.Offset{Partition: part, At: got.At, Metadata: got.Metadata})
	}
	return line.Ok{"offsets": offsets}, nil
}

func subscribe(r *line.Request) (line.Ok, error) {
	made := find(r.Member)
	wanted := map[string]bool{}
	for _, topic := range r.Topics {
		wanted[topic] = true
	}
	gone := []string{}
	for _, topic := range made.client.GetConsumeTopics() {
		if !wanted[topic] {
			gone = append(gone, topic)
		}
	}
	made.client.AddConsumeTopics(r.Topics...)
	if len(gone) > 0 {
		made.client.PurgeTopicsFromConsuming(gone...)
	}
	return nil, nil
}

func leave(r *line.Request) (line.Ok, error) {
	made := find(r.Member)
	made.cancel()
	select {
	case <-made.done:
	case <-time.After(10 * time.Second):
		return nil, &line.Failure{Text: "the poll loop does not end"}
	}
	made.client.CloseAllowingRebalance()
	mutex.Lock()
	delete(members, r.Member)
	mutex.Unlock()
	return nil, nil
}

func memberOps(ops map[string]func(*line.Request) (line.Ok, error)) {
	ops["join"], ops["assign"], ops["commit"] = join, assign, commit
	ops["subscribe"], ops["leave"] = subscribe, leave
	ops["state"] = func(r *line.Request) (line.Ok, error) { return find(r.Member).State(), nil }
	ops["take"] = func(r *line.Request) (line.Ok, error) { return find(r.Member).Take(), nil }
	ops["committed"] = func(r *line.Request) (line.Ok, error) {
		return groupOffsets(find(r.Member).group, r.List())
	}
	ops["seek"] = func(r *line.Request) (line.Ok, error) {
		find(r.Member).client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
			r.Topic: {r.Partition: {Epoch: -1, Offset: r.Offset}},
		})
		return nil, nil
	}
	ops["stall"] = func(*line.Request) (line.Ok, error) {
		return nil, line.Lacks("no max.poll.interval.ms: it heartbeats whether polled or not")
	}
}
