package main

import (
	"sort"

	"github.com/IBM/sarama"

	"tidelog/clients/line"
)

func describeTopic(r *line.Request) (line.Ok, error) {
	found, err := admin.DescribeTopics([]string{r.Topic})
	if err != nil {
		return nil, failure(err)
	}
	if err := failure(found[0].Err); err != nil {
		return nil, err
	}
	list := found[0].Partitions
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	parts := []any{}
	for _, part := range list {
		parts = append(parts, []any{part.ID, part.Leader, part.Replicas, part.Isr})
	}
	return line.Ok{"partitions": parts}, nil
}

func configs(r *line.Request) (line.Ok, error) {
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: r.Topic}
	found, err := admin.DescribeConfig(resource)
	values := map[string]string{}
	for _, entry := range found {
		values[entry.Name] = entry.Value
	}
	return line.Ok{"configs": values}, failure(err)
}

func alterConfig(r *line.Request) (line.Ok, error) {
	entry := sarama.IncrementalAlterConfigsEntry{
		Operation: sarama.IncrementalAlterConfigsOperationSet, Value: r.Value,
	}
	if r.Value == nil {
		entry.Operation = sarama.IncrementalAlterConfigsOperationDelete
	}
	return nil, failure(admin.IncrementalAlterConfig(sarama.TopicResource, r.Topic,
		map[string]sarama.IncrementalAlterConfigsEntry{r.Name: entry}, false))
}

func deleteRecords(r *line.Request) (line.Ok, error) {
	err := admin.DeleteRecords(r.Topic, map[int32]int64{r.Partition: r.Before})
	if err != nil {
		return nil, failure(err)
	}
	// The library does not show the answer's first offset.
	low, err := client.GetOffset(r.Topic, r.Partition, sarama.OffsetOldest)
	return line.Ok{"low": low}, failure(err)
}

func groups(*line.Request) (line.Ok, error) {
	found, err := admin.ListConsumerGroups()
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	return line.Ok{"groups": names}, failure(err)
}

func describeGroup(r *line.Request) (line.Ok, error) {
	found, err := admin.DescribeConsumerGroups([]string{r.Group})
	if err != nil {
		return nil, failure(err)
	}
	group := found[0]
	return line.Ok{
		"state": group.State, "protocol": group.Protocol, "members": len(group.Members),
	}, failure(group.Err)
}

func adminOps(ops map[string]func(*line.Request) (line.Ok, error)) {
	ops["topic"], ops["configs"], ops["alter_config"] = describeTopic, configs, alterConfig
	ops["delete_records"], ops["groups"], ops["group"] = deleteRecords, groups, describeGroup
	ops["create_topic"] = func(r *line.Request) (line.Ok, error) {
		return nil, failure(admin.CreateTopic(r.Topic, &sarama.TopicDetail{
			NumPartitions: r.Number(), ReplicationFactor: r.Replication,
			ConfigEntries: r.Configs,
		}, false))
	}
	ops["delete_topic"] = func(r *line.Request) (line.Ok, error) {
		return nil, failure(admin.DeleteTopic(r.Topic))
	}
	ops["create_partitions"] = func(r *line.Request) (line.Ok, error) {
		return nil, failure(admin.CreatePartitions(r.Topic, int32(r.Count), nil, false))
	}
	ops["group_offsets"] = func(r *line.Request) (line.Ok, error) {
		return groupOffsets(r.Group, r.List())
	}
	ops["delete_offsets"] = func(r *line.Request) (line.Ok, error) {
		return nil, failure(admin.DeleteConsumerGroupOffset(r.Group, r.Topic, r.Partition))
	}
	ops["delete_group"] = func(r *line.Request) (line.Ok, error) {
		return nil, failure(admin.DeleteConsumerGroup(r.Group))
	}
}
