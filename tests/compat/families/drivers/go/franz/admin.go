package main

import (
	"errors"
	"sort"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tidelog/clients/line"
)

func createTopic(r *line.Request) (line.Ok, error) {
	_, err := admin.CreateTopic(within(30), r.Number(), r.Replication, r.Configs, r.Topic)
	return nil, failure(err)
}

func describeTopic(r *line.Request) (line.Ok, error) {
	found, err := admin.ListTopics(within(20), r.Topic)
	if err != nil {
		return nil, failure(err)
	}
	topic := found[r.Topic]
	parts := []any{}
	for _, part := range topic.Partitions.Sorted() {
		if part.Err != nil {
			return nil, failure(part.Err)
		}
		parts = append(parts, []any{part.Partition, part.Leader, part.Replicas, part.ISR})
	}
	return line.Ok{"partitions": parts}, failure(topic.Err)
}

func configs(r *line.Request) (line.Ok, error) {
	found, err := admin.DescribeTopicConfigs(within(20), r.Topic)
	if err != nil {
		return nil, failure(err)
	}
	resource, err := found.On(r.Topic, nil)
	if err == nil {
		err = resource.Err
	}
	values := map[string]*string{}
	for _, config := range resource.Configs {
		values[config.Key] = config.Value
	}
	return line.Ok{"configs": values}, failure(err)
}

func alterConfig(r *line.Request) (line.Ok, error) {
	alter := kadm.AlterConfig{Op: kadm.SetConfig, Name: r.Name, Value: r.Value}
	if r.Value == nil {
		alter.Op = kadm.DeleteConfig
	}
	found, err := admin.AlterTopicConfigs(within(20), []kadm.AlterConfig{alter}, r.Topic)
	if err == nil {
		err = found[0].Err
	}
	return nil, failure(err)
}

func deleteRecords(r *line.Request) (line.Ok, error) {
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: r.Topic, Partition: r.Partition, At: r.Before})
	found, err := admin.DeleteRecords(within(20), offsets)
	if err != nil {
		return nil, failure(err)
	}
	got, _ := found.Lookup(r.Topic, r.Partition)
	return line.Ok{"low": got.LowWatermark}, failure(got.Err)
}

func describeGroup(r *line.Request) (line.Ok, error) {
	found, err := admin.DescribeGroups(within(20), r.Group)
	if err != nil {
		return nil, failure(err)
	}
	group := found[r.Group]
	return line.Ok{
		"state": group.State, "protocol": group.Protocol, "members": len(group.Members),
	}, failure(group.Err)
}

func deleteOffsets(r *line.Request) (line.Ok, error) {
	// By the request itself: what kadm answers hides the partition's error code.
	request := kmsg.NewPtrOffsetDeleteRequest()
	request.Group = r.Group
	topic := kmsg.NewOffsetDeleteRequestTopic()
	topic.Topic = r.Topic
	part := kmsg.NewOffsetDeleteRequestTopicPartition()
	part.Partition = r.Partition
	topic.Partitions = append(topic.Partitions, part)
	request.Topics = append(request.Topics, topic)
	answer, err := request.RequestWith(within(20), plain)
	if err != nil {
		return nil, failure(err)
	}
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return nil, failure(err)
	}
	if len(answer.Topics) == 0 {
		return nil, errors.New("no topic in the answer")
	}
	return nil, failure(kerr.ErrorForCode(answer.Topics[0].Partitions[0].ErrorCode))
}

func adminOps(ops map[string]func(*line.Request) (line.Ok, error)) {
	ops["create_topic"], ops["topic"], ops["configs"] = createTopic, describeTopic, configs
	ops["alter_config"], ops["delete_records"] = alterConfig, deleteRecords
	ops["group"], ops["delete_offsets"] = describeGroup, deleteOffsets
	ops["delete_topic"] = func(r *line.Request) (line.Ok, error) {
		_, err := admin.DeleteTopic(within(20), r.Topic)
		return nil, failure(err)
	}
	ops["create_partitions"] = func(r *line.Request) (line.Ok, error) {
		// By the request itself: UpdatePartitions looks first and refuses on its own.
		request := kmsg.NewPtrCreatePartitionsRequest()
		topic := kmsg.NewCreatePartitionsRequestTopic()
		topic.Topic, topic.Count = r.Topic, int32(r.Count)
		request.Topics = append(request.Topics, topic)
		request.TimeoutMillis = 20000
		answer, err := request.RequestWith(within(20), plain)
		if err == nil {
			err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
		}
		return nil, failure(err)
	}
	ops["groups"] = func(*line.Request) (line.Ok, error) {
		found, err := admin.ListGroups(within(20))
		names := found.Groups()
		sort.Strings(names)
		return line.Ok{"groups": names}, failure(err)
	}
	ops["group_offsets"] = func(r *line.Request) (line.Ok, error) {
		return groupOffsets(r.Group, r.List())
	}
	ops["delete_group"] = func(r *line.Request) (line.Ok, error) {
		_, err := admin.DeleteGroup(within(20), r.Group)
		return nil, failure(err)
	}
}
