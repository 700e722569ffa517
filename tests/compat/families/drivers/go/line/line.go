// Package line is what the drivers in Go share: the line protocol of ../../../README.md and the
// state of a group member.
package line

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
)

// Lacks is what a client cannot do at all.
type Lacks string

func (l Lacks) Error() string { return string(l) }

// Failure is what a client reported: Kafka's code, or nil.
type Failure struct {
	Code *int   `json:"code"`
	Text string `json:"text"`
}

func (f *Failure) Error() string { return f.Text }

// Header is a name and a value, an array of two in JSON.
type Header struct {
	Name  string
	Value []byte
}

// MarshalJSON writes [name, value].
func (h Header) MarshalJSON() ([]byte, error) { return json.Marshal([]any{h.Name, h.Value}) }

// UnmarshalJSON reads [name, value].
func (h *Header) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&h.Name, &h.Value})
}

// Record is a record of a request or of an answer; an answer says everything.
type Record struct {
	Topic     string   `json:"topic"`
	Partition *int32   `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp *int64   `json:"timestamp"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []Header `json:"headers"`
}

// Partition is a topic and a number, an array of two in JSON.
type Partition struct {
	Topic  string
	Number int32
}

// MarshalJSON writes [topic, number].
func (p Partition) MarshalJSON() ([]byte, error) { return json.Marshal([]any{p.Topic, p.Number}) }

// UnmarshalJSON reads [topic, number].
func (p *Partition) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&p.Topic, &p.Number})
}

// Offset is a committed offset, an array of four in JSON.
type Offset struct {
	Partition
	At       int64
	Metadata string
}

// MarshalJSON writes [topic, number, offset, metadata].
func (o Offset) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{o.Topic, o.Number, o.At, o.Metadata})
}

// UnmarshalJSON reads [topic, number, offset, metadata].
func (o *Offset) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&o.Topic, &o.Number, &o.At, &o.Metadata})
}

// Request has the fields of every operation.
type Request struct {
	ID             int                `json:"id"`
	Op             string             `json:"op"`
	Topic          string             `json:"topic"`
	Partition      int32              `json:"partition"`
	Records        []Record           `json:"records"`
	Acks           string             `json:"acks"`
	Codec          string             `json:"codec"`
	Idempotent     bool               `json:"idempotent"`
	MaxBytes       int32              `json:"max_bytes"`
	LingerMs       int                `json:"linger_ms"`
	From           json.RawMessage    `json:"from"`
	At             json.RawMessage    `json:"at"`
	Reset          string             `json:"reset"`
	Count          int                `json:"count"`
	TimeoutMs      int                `json:"timeout_ms"`
	Member         string             `json:"member"`
	Group          string             `json:"group"`
	Topics         []string           `json:"topics"`
	Assignor       string             `json:"assignor"`
	SessionMs      int                `json:"session_ms"`
	HeartbeatMs    int                `json:"heartbeat_ms"`
	RebalanceMs    int                `json:"rebalance_ms"`
	MetadataMs     int                `json:"metadata_ms"`
	AutoCommitMs   int                `json:"auto_commit_ms"`
	CommitOnRevoke bool               `json:"commit_on_revoke"`
	Instance       string             `json:"instance"`
	Partitions     json.RawMessage    `json:"partitions"`
	How            string             `json:"how"`
	Offsets        *[]Offset          `json:"offsets"`
	Offset         int64              `json:"offset"`
	Replication    int16              `json:"replication"`
	Configs        map[string]*string `json:"configs"`
	Name           string             `json:"name"`
	Value          *string            `json:"value"`
	Before         int64              `json:"before"`
}

// Position is an offset, or the name of one.
func Position(raw json.RawMessage) (string, int64) {
	var name string
	if json.Unmarshal(raw, &name) == nil {
		return name, 0
	}
	var number int64
	if err := json.Unmarshal(raw, &number); err != nil {
		panic(err)
	}
	return "", number
}

// List reads the partition list of a request.
func (r *Request) List() []Partition {
	var list []Partition
	if err := json.Unmarshal(r.Partitions, &list); err != nil {
		panic(err)
	}
	return list
}

// Number reads `partitions` where it is a number.
func (r *Request) Number() int32 {
	var number int32
	if err := json.Unmarshal(r.Partitions, &number); err != nil {
		panic(err)
	}
	return number
}

// Ok is the body of an answer.
type Ok map[string]any

var output = struct {
	sync.Mutex
	to *json.Encoder
}{to: json.NewEncoder(os.Stdout)}

func say(value any) {
	output.Lock()
	defer output.Unlock()
	if err := output.to.Encode(value); err != nil {
		os.Exit(1)
	}
}

func answer(request *Request, call func(*Request) (Ok, error)) {
	defer func() {
		if problem := recover(); problem != nil {
			say(Ok{"id": request.ID, "error": Failure{Text: fmt.Sprint("panic: ", problem)}})
		}
	}()
	ok, err := call(request)
	var lacks Lacks
	var failure *Failure
	switch {
	case err == nil:
		if ok == nil {
			ok = Ok{}
		}
		say(Ok{"id": request.ID, "ok": ok})
	case errors.As(err, &lacks):
		say(Ok{"id": request.ID, "lacks": string(lacks)})
	case errors.As(err, &failure):
		say(Ok{"id": request.ID, "error": failure})
	default:
		say(Ok{"id": request.ID, "error": Failure{Text: fmt.Sprintf("%T: %v", err, err)}})
	}
}

// Serve answers requests, each in a goroutine of its own, until the input ends.
func Serve(client string, ops map[string]func(*Request) (Ok, error)) {
	say(Ok{"ready": true, "client": client})
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		text, err := input.ReadBytes('\n')
		if err == io.EOF {
			os.Exit(0)
		}
		request := &Request{
			Acks: "all", Codec: "none", LingerMs: 5, Reset: "", TimeoutMs: 10000,
			Assignor: "range", SessionMs: 6000, HeartbeatMs: 300, RebalanceMs: 30000,
			MetadataMs: 1000, How: "sync", Replication: 1,
		}
		if err := json.Unmarshal(text, request); err != nil {
			fmt.Fprintln(os.Stderr, "bad request:", err, string(text))
			os.Exit(1)
		}
		call := ops[request.Op]
		if call == nil {
			call = func(*Request) (Ok, error) { return nil, Lacks("no " + request.Op) }
		}
		go answer(request, call)
	}
}

// Member is what a driver keeps of a member.
type Member struct {
	sync.Mutex
	records   []Record
	events    []any
	failure   *Failure
	assigned  map[Partition]bool
	positions map[Partition]int64
}

// NewMember has nothing assigned.
func NewMember() *Member {
	return &Member{
		records: []Record{}, events: []any{}, assigned: map[Partition]bool{},
		positions: map[Partition]int64{},
	}
}

// Got keeps a record.
func (m *Member) Got(record Record) {
	m.Lock()
	defer m.Unlock()
	m.records = append(m.records, record)
	m.positions[Partition{record.Topic, *record.Partition}] = record.Offset + 1
}

// Note keeps what a rebalance did.
func (m *Member) Note(kind string, list []Partition) {
	m.Lock()
	defer m.Unlock()
	Sort(list)
	m.events = append(m.events, []any{kind, list})
	for _, part := range list {
		if kind == "assigned" {
			m.assigned[part] = true
		} else {
			delete(m.assigned, part)
		}
	}
}

// Fail keeps an error.
func (m *Member) Fail(code *int, text string) {
	m.Lock()
	defer m.Unlock()
	m.failure = &Failure{code, text}
}

// Take answers the records since the last call.
func (m *Member) Take() Ok {
	m.Lock()
	defer m.Unlock()
	found := m.records
	m.records = []Record{}
	return Ok{"records": found}
}

// State answers what is assigned and what happened.
func (m *Member) State() Ok {
	m.Lock()
	defer m.Unlock()
	list := []Partition{}
	for part := range m.assigned {
		list = append(list, part)
	}
	Sort(list)
	return Ok{"assigned": list, "events": append([]any{}, m.events...), "error": m.failure}
}

// Positions is what to commit: what is asked for, or all that was delivered of what is assigned.
func (m *Member) Positions(asked *[]Offset) []Offset {
	if asked != nil {
		return *asked
	}
	m.Lock()
	defer m.Unlock()
	found := []Offset{}
	for part, at := range m.positions {
		if m.assigned[part] {
			found = append(found, Offset{part, at, ""})
		}
	}
	return found
}

// Sort orders partitions by topic and number.
func Sort(list []Partition) {
	sort.Slice(list, func(i, j int) bool {
		if list[i].Topic != list[j].Topic {
			return list[i].Topic < list[j].Topic
		}
		return list[i].Number < list[j].Number
	})
}

// Flat makes a sorted list of a map.
func Flat(parts map[string][]int32) []Partition {
	list := []Partition{}
	for topic, numbers := range parts {
		for _, number := range numbers {
			list = append(list, Partition{topic, number})
		}
	}
	Sort(list)
	return list
}
