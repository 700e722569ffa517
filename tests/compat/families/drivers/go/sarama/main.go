// The driver of sarama; see ../../../README.md.
package main

import (
	"errors"
	"io"
	"log"
	"os"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"tidelog/clients/line"
)

var (
	address = []string{os.Args[1]}
	mutex   sync.Mutex
	members = map[string]*member{}
	kept    = map[settings]sarama.SyncProducer{}
	client  = must(sarama.NewClient(address, base()))
	admin   = must(sarama.NewClusterAdminFromClient(client))
)

func must[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}

func base() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Metadata.Retry.Backoff = 100 * time.Millisecond
	config.Metadata.Retry.Max = 20
	config.Metadata.RefreshFrequency = time.Second
	// Else a topic made just now may be answered for by a refresh that began before it was.
	config.Metadata.SingleFlight = false
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	config.Consumer.Retry.Backoff = 100 * time.Millisecond
	config.Consumer.Return.Errors = true
	config.Consumer.Group.Rebalance.Retry.Backoff = 100 * time.Millisecond
	config.Consumer.Group.Rebalance.Retry.Max = 20
	return config
}

func ms(number int) time.Duration { return time.Duration(number) * time.Millisecond }

func codeOf(err error) *int {
	var known sarama.KError
	if errors.As(err, &known) {
		code := int(known)
		return &code
	}
	return nil
}

func failure(err error) error {
	if err == nil || errors.Is(err, sarama.ErrNoError) {
		return nil
	}
	return &line.Failure{Code: codeOf(err), Text: err.Error()}
}

func stored(message *sarama.ConsumerMessage) line.Record {
	at := message.Timestamp.UnixMilli()
	partition := message.Partition
	headers := []line.Header{}
	for _, header := range message.Headers {
		headers = append(headers, line.Header{Name: string(header.Key), Value: header.Value})
	}
	return line.Record{
		Topic: message.Topic, Partition: &partition, Offset: message.Offset, Timestamp: &at,
		Key: message.Key, Value: message.Value, Headers: headers,
	}
}

// chosen takes the partition that the record names, or the Java client's.
type chosen struct{ java sarama.Partitioner }

func (c chosen) Partition(message *sarama.ProducerMessage, count int32) (int32, error) {
	if named := message.Metadata.(*int32); named != nil {
		return *named, nil
	}
	return c.java.Partition(message, count)
}

func (chosen) RequiresConsistency() bool { return true }

var codecs = map[string]sarama.CompressionCodec{
	"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy, "lz4": sarama.CompressionLZ4,
	"zstd": sarama.CompressionZSTD,
}

type settings struct {
	acks, codec string
	idempotent  bool
	maxBytes    int32
}

func producer(r *line.Request) (sarama.SyncProducer, error) {
	mutex.Lock()
	defer mutex.Unlock()
	key := settings{r.Acks, r.Codec, r.Idempotent, r.MaxBytes}
	if kept[key] != nil {
		return kept[key], nil
	}
	config := base()
	config.Producer.Return.Successes = true
	config.Producer.Compression = codecs[r.Codec]
	config.Producer.Idempotent = r.Idempotent
	config.Producer.Flush.Frequency = ms(r.LingerMs)
	config.Producer.Retry.Backoff = 100 * time.Millisecond
	config.Net.MaxOpenRequests = 1
	config.Producer.Partitioner = func(topic string) sarama.Partitioner {
		return chosen{sarama.NewMurmur2Partitioner(topic)}
	}
	config.Producer.RequiredAcks = map[string]sarama.RequiredAcks{
		"all": sarama.WaitForAll, "1": sarama.WaitForLocal, "0": sarama.NoResponse,
	}[r.Acks]
	if r.MaxBytes > 0 {
		config.Producer.MaxMessageBytes = int(r.MaxBytes)
	}
	made, err := sarama.NewSyncProducer(address, config)
	if err == nil {
		kept[key] = made
	}
	return made, err
}

func produce(r *line.Request) (line.Ok, error) {
	to, err := producer(r)
	if err != nil {
		return nil, failure(err)
	}
	messages := make([]*sarama.ProducerMessage, len(r.Records))
	for n, each := range r.Records {
		message := &sarama.ProducerMessage{Topic: r.Topic, Metadata: each.Partition}
		if each.Key != nil {
			message.Key = sarama.ByteEncoder(each.Key)
		}
		if each.Value != nil {
			message.Value = sarama.ByteEncoder(each.Value)
		}
		if each.Timestamp != nil {
			message.Timestamp = time.UnixMilli(*each.Timestamp)
		}
		for _, header := range each.Headers {
			message.Headers = append(message.Headers,
				sarama.RecordHeader{Key: []byte(header.Name), Value: header.Value})
		}
		messages[n] = message
	}
	if err := to.SendMessages(messages); err != nil {
		var several sarama.ProducerErrors
		if errors.As(err, &several) && len(several) > 0 {
			err = several[0].Err
		}
		return nil, failure(err)
	}
	acks := make([][2]int64, len(messages))
	for n, message := range messages {
		acks[n] = [2]int64{int64(message.Partition), message.Offset}
		if r.Acks == "0" {
			acks[n][1] = -1
		}
	}
	return line.Ok{"acks": acks}, nil
}

func position(name string, number int64) int64 {
	switch name {
	case "earliest":
		return sarama.OffsetOldest
	case "latest":
		return sarama.OffsetNewest
	}
	return number
}

func consume(r *line.Request) (line.Ok, error) {
	config := base()
	if r.MaxBytes > 0 {
		config.Consumer.Fetch.Default = r.MaxBytes
	}
	consumer, err := sarama.NewConsumer(address, config)
	if err != nil {
		return nil, failure(err)
	}
	defer consumer.Close()
	part, err := consumer.ConsumePartition(r.Topic, r.Partition, position(line.Position(r.From)))
	if errors.Is(err, sarama.ErrOffsetOutOfRange) && r.Reset != "none" && r.Reset != "" {
		// The library leaves the reset to its user.
		part, err = consumer.ConsumePartition(r.Topic, r.Partition, position(r.Reset, 0))
	}
	if err != nil {
		return nil, failure(err)
	}
	defer part.AsyncClose()
	found := []line.Record{}
	late := time.After(ms(r.TimeoutMs))
	for len(found) < r.Count {
		select {
		case message := <-part.Messages():
			found = append(found, stored(message))
		case err := <-part.Errors():
			return nil, failure(err)
		case <-late:
			return line.Ok{"records": found}, nil
		}
	}
	return line.Ok{"records": found}, nil
}

func offset(r *line.Request) (line.Ok, error) {
	at, err := client.GetOffset(r.Topic, r.Partition, position(line.Position(r.At)))
	if errors.Is(err, sarama.ErrOffsetOutOfRange) {
		return line.Ok{"offset": -1}, nil
	}
	return line.Ok{"offset": at}, failure(err)
}

func main() {
	sarama.Logger = log.New(io.Discard, "", 0)
	ops := map[string]func(*line.Request) (line.Ok, error){
		"produce": produce, "consume": consume, "offset": offset,
	}
	memberOps(ops)
	adminOps(ops)
	line.Serve("sarama", ops)
}
