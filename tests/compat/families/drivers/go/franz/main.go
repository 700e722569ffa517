// The driver of franz-go; see ../../../README.md.
package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tidelog/clients/line"
)

var (
	address = os.Args[1]
	members = map[string]*member{}
	mutex   sync.Mutex
	plain   = open()
	admin   = kadm.NewClient(plain)
)

func open(more ...kgo.Opt) *kgo.Client {
	options := append([]kgo.Opt{
		kgo.SeedBrokers(address), kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.FetchMaxWait(100 * time.Millisecond), kgo.UnknownTopicRetries(10),
	}, more...)
	client, err := kgo.NewClient(options...)
	if err != nil {
		panic(err)
	}
	return client
}

func ms(number int) time.Duration { return time.Duration(number) * time.Millisecond }

func within(seconds int) context.Context {
	// The process ends soon; a timer that is left until it fires does no harm.
	ctx, _ := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second) //nolint
	return ctx
}

func failure(err error) error {
	if err == nil {
		return nil
	}
	var known *kerr.Error
	if errors.As(err, &known) {
		code := int(known.Code)
		return &line.Failure{Code: &code, Text: err.Error()}
	}
	return err
}

func codeOf(err error) *int {
	var found *line.Failure
	if errors.As(failure(err), &found) {
		return found.Code
	}
	return nil
}

func stored(record *kgo.Record) line.Record {
	at := record.Timestamp.UnixMilli()
	partition := record.Partition
	headers := []line.Header{}
	for _, header := range record.Headers {
		headers = append(headers, line.Header{Name: header.Key, Value: header.Value})
	}
	return line.Record{
		Topic: record.Topic, Partition: &partition, Offset: record.Offset, Timestamp: &at,
		Key: record.Key, Value: record.Value, Headers: headers,
	}
}

// chosen takes the partition that the record names, or the Java client's.
type chosen struct{ java, named kgo.TopicPartitioner }

type partitioner struct{}

func (partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return chosen{
		kgo.StickyKeyPartitioner(nil).ForTopic(topic), kgo.ManualPartitioner().ForTopic(topic),
	}
}

func (chosen) RequiresConsistency(*kgo.Record) bool { return true }

func (c chosen) Partition(record *kgo.Record, count int) int {
	if record.Partition >= 0 {
		return c.named.Partition(record, count)
	}
	return c.java.Partition(record, count)
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

type settings struct {
	acks, codec string
	idempotent  bool
	maxBytes    int32
}

var kept = map[settings]*kgo.Client{}

func producer(r *line.Request) *kgo.Client {
	mutex.Lock()
	defer mutex.Unlock()
	key := settings{r.Acks, r.Codec, r.Idempotent, r.MaxBytes}
	if kept[key] != nil {
		return kept[key]
	}
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(codecs[r.Codec]), kgo.ProducerLinger(ms(r.LingerMs)),
		kgo.RecordPartitioner(partitioner{}), kgo.MetadataMaxAge(time.Second),
	}
	switch r.Acks {
	case "0":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()))
	case "1":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()))
	}
	if !r.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite(),
			kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	if r.MaxBytes > 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(r.MaxBytes))
	}
	kept[key] = open(options...)
	return kept[key]
}

func produce(r *line.Request) (line.Ok, error) {
	records := make([]*kgo.Record, len(r.Records))
	for n, each := range r.Records {
		record := &kgo.Record{Topic: r.Topic, Key: each.Key, Value: each.Value, Partition: -1}
		if each.Partition != nil {
			record.Partition = *each.Partition
		}
		if each.Timestamp != nil {
			record.Timestamp = time.UnixMilli(*each.Timestamp)
		}
		for _, header := range each.Headers {
			record.Headers = append(record.Headers,
				kgo.RecordHeader{Key: header.Name, Value: header.Value})
		}
		records[n] = record
	}
	if err := producer(r).ProduceSync(within(55), records...).FirstErr(); err != nil {
		return nil, failure(err)
	}
	acks := make([][2]int64, len(records))
	for n, record := range records {
		acks[n] = [2]int64{int64(record.Partition), record.Offset}
		if r.Acks == "0" {
			acks[n][1] = -1
		}
	}
	return line.Ok{"acks": acks}, nil
}

func offsetOf(name string, number int64) kgo.Offset {
	switch name {
	case "earliest":
		return kgo.NewOffset().AtStart()
	case "latest":
		return kgo.NewOffset().AtEnd()
	case "none":
		return kgo.NoResetOffset()
	}
	return kgo.NewOffset().At(number)
}

func consume(r *line.Request) (line.Ok, error) {
	if r.Reset == "" {
		r.Reset = "none"
	}
	options := []kgo.Opt{
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			r.Topic: {r.Partition: offsetOf(line.Position(r.From))},
		}),
		kgo.ConsumeResetOffset(offsetOf(r.Reset, 0)),
	}
	if r.MaxBytes > 0 {
		options = append(options, kgo.FetchMaxBytes(r.MaxBytes),
			kgo.FetchMaxPartitionBytes(r.MaxBytes))
	}
	client := open(options...)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), ms(r.TimeoutMs))
	defer cancel()
	found := []line.Record{}
	for len(found) < r.Count && ctx.Err() == nil {
		fetches := client.PollRecords(ctx, r.Count-len(found))
		if err := fetches.Err0(); err != nil && ctx.Err() == nil {
			return nil, failure(err)
		}
		for _, bad := range fetches.Errors() {
			if ctx.Err() == nil {
				return nil, failure(bad.Err)
			}
		}
		fetches.EachRecord(func(record *kgo.Record) { found = append(found, stored(record)) })
	}
	return line.Ok{"records": found}, nil
}

func offset(r *line.Request) (line.Ok, error) {
	name, number := line.Position(r.At)
	var listed kadm.ListedOffsets
	var err error
	switch name {
	case "earliest":
		listed, err = admin.ListStartOffsets(within(20), r.Topic)
	case "latest":
		listed, err = admin.ListEndOffsets(within(20), r.Topic)
	default:
		request := kmsg.NewPtrListOffsetsRequest()
		topic := kmsg.NewListOffsetsRequestTopic()
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp, part.CurrentLeaderEpoch = r.Partition, number, -1
		topic.Topic = r.Topic
		topic.Partitions = append(topic.Partitions, part)
		request.ReplicaID = -1
		request.Topics = append(request.Topics, topic)
		answer, err := request.RequestWith(within(20), plain)
		if err != nil {
			return nil, failure(err)
		}
		got := answer.Topics[0].Partitions[0]
		return line.Ok{"offset": got.Offset}, failure(kerr.ErrorForCode(got.ErrorCode))
	}
	if err != nil {
		return nil, failure(err)
	}
	got, _ := listed.Lookup(r.Topic, r.Partition)
	return line.Ok{"offset": got.Offset}, failure(got.Err)
}

func main() {
	ops := map[string]func(*line.Request) (line.Ok, error){
		"produce": produce, "consume": consume, "offset": offset,
	}
	memberOps(ops)
	adminOps(ops)
	line.Serve("franz-go", ops)
}
