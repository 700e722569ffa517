package main

import (
	"context"
	"sort"
	"time"

	"github.com/IBM/sarama"

	"tidelog/clients/line"
)

// member is a group member, or without a group a consumer by assignment.
type member struct {
	*line.Member
	name           string
	group          sarama.ConsumerGroup
	commitOnRevoke bool
	manual         bool
	topics         chan []string
	stop           context.CancelFunc
	done           chan struct{}
	session        sarama.ConsumerGroupSession
	// By assignment.
	consumer sarama.Consumer
	manager  sarama.OffsetManager
	managed  map[line.Partition]sarama.PartitionOffsetManager
	parts    []sarama.PartitionConsumer
	own      sarama.Client
}

// backwards is the custom assignor of README.
type backwards struct{}

func (backwards) Name() string { return "backwards" }

func (backwards) AssignmentData(string, map[string][]int32, int32) ([]byte, error) {
	return nil, nil
}

func (backwards) Plan(
	all map[string]sarama.ConsumerGroupMemberMetadata, topics map[string][]int32,
) (sarama.BalanceStrategyPlan, error) {
	names := []string{}
	for name := range all {
		names = append(names, name)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(names)))
	plan := sarama.BalanceStrategyPlan{}
	for n, part := range line.Flat(topics) {
		plan.Add(names[n%len(names)], part.Topic, part.Number)
	}
	return plan, nil
}

func strategy(name string) sarama.BalanceStrategy {
	switch name {
	case "range":
		return sarama.NewBalanceStrategyRange()
	case "roundrobin":
		return sarama.NewBalanceStrategyRoundRobin()
	case "sticky":
		return sarama.NewBalanceStrategySticky()
	case "cooperative":
		return sarama.NewBalanceStrategyCooperativeSticky()
	}
	return backwards{}
}

// Setup is called once for each session; the claims follow.
func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.Lock()
	defer m.Unlock()
	m.session = session
	return nil
}

// Cleanup is called when a session ends.
func (m *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

// ConsumeClaim reads one partition until it is revoked.
func (m *member) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	mine := line.Partition{Topic: claim.Topic(), Number: claim.Partition()}
	m.Note("assigned", []line.Partition{mine})
	for message := range claim.Messages() {
		m.Got(stored(message))
		if m.commitOnRevoke || !m.manual {
			session.MarkMessage(message, "")
		}
	}
	if m.commitOnRevoke {
		session.Commit()
	}
	m.Note("revoked", []line.Partition{mine})
	return nil
}

func join(r *line.Request) (line.Ok, error) {
	if r.Reset == "none" {
		return nil, line.Lacks("Consumer.Offsets.Initial is the oldest or the newest")
	}
	config := base()
	config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{
		strategy(r.Assignor),
	}
	config.Consumer.Group.Session.Timeout = ms(r.SessionMs)
	config.Consumer.Group.Heartbeat.Interval = ms(r.HeartbeatMs)
	config.Consumer.Group.Rebalance.Timeout = ms(r.RebalanceMs)
	config.Consumer.Group.InstanceId = r.Instance
	config.Metadata.RefreshFrequency = ms(r.MetadataMs)
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	if r.Reset == "latest" {
		config.Consumer.Offsets.Initial = sarama.OffsetNewest
	}
	config.Consumer.Offsets.AutoCommit.Enable = r.AutoCommitMs > 0
	if r.AutoCommitMs > 0 {
		config.Consumer.Offsets.AutoCommit.Interval = ms(r.AutoCommitMs)
	}
	if r.Assignor == "custom" {
		config.Consumer.Group.Member.UserData = []byte("hello")
	}
	group, err := sarama.NewConsumerGroup(address, r.Group, config)
	if err != nil {
		return nil, failure(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	made := &member{
		Member: line.NewMember(), name: r.Group, group: group, manual: r.AutoCommitMs == 0,
		commitOnRevoke: r.CommitOnRevoke, topics: make(chan []string, 1), stop: stop,
		done: make(chan struct{}),
	}
	mutex.Lock()
	members[r.Member] = made
	mutex.Unlock()
	go made.run(ctx, r.Topics)
	go func() {
		for err := range group.Errors() {
			made.Fail(codeOf(err), err.Error())
		}
	}()
	return nil, nil
}

// run consumes, and begins again with other topics when it is told to.
func (m *member) run(ctx context.Context, topics []string) {
	defer close(m.done)
	for ctx.Err() == nil {
		round, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func(topics []string) { ended <- m.group.Consume(round, topics, m) }(topics)
		select {
		case topics = <-m.topics:
			cancel()
			<-ended
		case err := <-ended:
			cancel()
			if err != nil && ctx.Err() == nil {
				m.Fail(codeOf(err), err.Error())
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
}

func assign(r *line.Request) (line.Ok, error) {
	config := base()
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	own, err := sarama.NewClient(address, config)
	if err != nil {
		return nil, failure(err)
	}
	made := &member{
		Member: line.NewMember(), name: r.Group, own: own,
		managed: map[line.Partition]sarama.PartitionOffsetManager{},
	}
	if made.manager, err = sarama.NewOffsetManagerFromClient(r.Group, own); err != nil {
		return nil, failure(err)
	}
	if made.consumer, err = sarama.NewConsumerFromClient(own); err != nil {
		return nil, failure(err)
	}
	made.Note("assigned", r.List())
	for _, part := range r.List() {
		managed, err := made.manager.ManagePartition(part.Topic, part.Number)
		if err != nil {
			return nil, failure(err)
		}
		made.managed[part] = managed
		start, _ := managed.NextOffset()
		reading, err := made.consumer.ConsumePartition(part.Topic, part.Number, start)
		if err != nil {
			return nil, failure(err)
		}
		made.parts = append(made.parts, reading)
		go func() {
			for message := range reading.Messages() {
				made.Got(stored(message))
			}
		}()
	}
	mutex.Lock()
	members[r.Member] = made
	mutex.Unlock()
	return nil, nil
}

func find(name string) *member {
	mutex.Lock()
	defer mutex.Unlock()
	return members[name]
}

func commit(r *line.Request) (line.Ok, error) {
	if r.How == "async" {
		return nil, line.Lacks("commits are synchronous, or by interval")
	}
	made := find(r.Member)
	for _, offset := range made.Positions(r.Offsets) {
		// Reset goes back, mark goes forward.
		if made.group == nil {
			made.managed[offset.Partition].ResetOffset(offset.At, offset.Metadata)
			made.managed[offset.Partition].MarkOffset(offset.At, offset.Metadata)
			continue
		}
		made.session.ResetOffset(offset.Topic, offset.Number, offset.At, offset.Metadata)
		made.session.MarkOffset(offset.Topic, offset.Number, offset.At, offset.Metadata)
	}
	if made.group == nil {
		made.manager.Commit()
	} else {
		made.session.Commit()
	}
	return nil, nil
}

func groupOffsets(group string, list []line.Partition) (line.Ok, error) {
	wanted := map[string][]int32{}
	for _, part := range list {
		wanted[part.Topic] = append(wanted[part.Topic], part.Number)
	}
	found, err := admin.ListConsumerGroupOffsets(group, wanted)
	if err != nil {
		return nil, failure(err)
	}
	offsets := []line.Offset{}
	for _, part := range list {
		block := found.GetBlock(part.Topic, part.Number)
		if err := failure(block.Err); err != nil {
			return nil, err
		}
		offsets = append(offsets,
			line.Offset{Partition: part, At: block.Offset, Metadata: block.Metadata})
	}
	return line.Ok{"offsets": offsets}, nil
}

func leave(r *line.Request) (line.Ok, error) {
	made := find(r.Member)
	mutex.Lock()
	delete(members, r.Member)
	mutex.Unlock()
	if made.group != nil {
		made.stop()
		err := made.group.Close()
		<-made.done
		return nil, failure(err)
	}
	for _, part := range made.parts {
		part.AsyncClose()
	}
	for _, managed := range made.managed {
		managed.AsyncClose()
	}
	_ = made.manager.Close()
	return nil, nil
}

func memberOps(ops map[string]func(*line.Request) (line.Ok, error)) {
	ops["join"], ops["assign"], ops["commit"], ops["leave"] = join, assign, commit, leave
	ops["state"] = func(r *line.Request) (line.Ok, error) { return find(r.Member).State(), nil }
	ops["take"] = func(r *line.Request) (line.Ok, error) { return find(r.Member).Take(), nil }
	ops["committed"] = func(r *line.Request) (line.Ok, error) {
		return groupOffsets(find(r.Member).name, r.List())
	}
	ops["subscribe"] = func(r *line.Request) (line.Ok, error) {
		find(r.Member).topics <- r.Topics
		return nil, nil
	}
	ops["seek"] = func(*line.Request) (line.Ok, error) {
		return nil, line.Lacks("a claim cannot move its position")
	}
	ops["stall"] = func(*line.Request) (line.Ok, error) {
		return nil, line.Lacks("no max.poll.interval.ms: it heartbeats whether polled or not")
	}
}
