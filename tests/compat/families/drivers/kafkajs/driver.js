// The driver of kafkajs; see ../../README.md. Modules are found through NODE_PATH.
'use strict'

const readline = require('readline')
const kafkajs = require('kafkajs')
const lz4 = require('lz4js')
const xxhash = require('lz4js/xxh32.js')
const snappy = require('snappyjs')
const { ZstdCodec } = require('zstd-codec')

const { AssignerProtocol, CompressionCodecs, CompressionTypes } = kafkajs
const version = require('kafkajs/package.json').version
const kafka = new kafkajs.Kafka({
  clientId: 'tidelog-tests', brokers: [process.argv[2]], logLevel: kafkajs.logLevel.NOTHING,
  retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 6 },
})
const admin = kafka.admin()
const members = new Map()
const producers = new Map()

class Lacks extends Error {}

class Failure extends Error {
  constructor (code, text) {
    super(text)
    this.code = code
  }
}

const dec = text => (text === null || text === undefined ? null : Buffer.from(text, 'base64'))
const enc = data => (data === null || data === undefined ? null : data.toString('base64'))

// -- codecs: the library has gzip alone

const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])

function unsnappy (data) {
  if (!data.subarray(0, 8).equals(XERIAL)) return Buffer.from(snappy.uncompress(data))
  const parts = []
  for (let at = 16; at < data.length;) {
    const size = data.readInt32BE(at)
    parts.push(Buffer.from(snappy.uncompress(data.subarray(at + 4, at + 4 + size))))
    at += 4 + size
  }
  return Buffer.concat(parts)
}

// A frame of one block, said to be independent: Kafka refuses frames that do not say so.
function frame (data) {
  const made = Buffer.from(lz4.compress(data))
  made[4] |= 0x20
  made[6] = (xxhash.hash(0, made, 4, 2) >> 8) & 0xff
  return made
}

function codecs (zstd) {
  CompressionCodecs[CompressionTypes.Snappy] = () => ({
    compress: async encoder => Buffer.from(snappy.compress(encoder.buffer)),
    decompress: async data => unsnappy(data),
  })
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: async encoder => frame(encoder.buffer),
    decompress: async data => Buffer.from(lz4.decompress(data)),
  })
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async encoder => Buffer.from(zstd.compress(encoder.buffer)),
    decompress: async data => Buffer.from(zstd.decompress(data)),
  })
}

const CODECS = {
  none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD,
}

// -- errors

function codeOf (error, depth = 0) {
  if (!error || depth > 6) return null
  if (typeof error.code === 'number') return error.code > 0 ? error.code : null
  if (typeof error.errorCode === 'number') return error.errorCode || null
  const inner = [error.cause, error.originalError, error.error, ...(error.errors || []),
    ...(error.partitions || []), ...(error.groups || [])]
  for (const each of inner) {
    const found = codeOf(each, depth + 1)
    if (found !== null) return found
  }
  return null
}

const errorOf = error => ({ code: codeOf(error), text: `${error.name}: ${error.message}` })

// -- records

function stored (topic, partition, message) {
  const headers = []
  for (const [name, value] of Object.entries(message.headers || {})) {
    for (const each of Array.isArray(value) ? value : [value]) headers.push([name, enc(each)])
  }
  return {
    topic, partition, offset: Number(message.offset), timestamp: Number(message.timestamp),
    key: enc(message.key), value: enc(message.value), headers,
  }
}

function headersOf (list) {
  const headers = {}
  for (const [name, value] of list || []) {
    if (value === null) throw new Lacks('a header without a value is not sent')
    headers[name] = name in headers ? [].concat(headers[name], [dec(value)]) : dec(value)
  }
  return headers
}

async function producer (idempotent) {
  if (!producers.has(idempotent)) {
    const made = kafka.producer({
      idempotent, maxInFlightRequests: 1, allowAutoTopicCreation: false, metadataMaxAge: 1000,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    })
    producers.set(idempotent, made.connect().then(() => made))
  }
  return producers.get(idempotent)
}

async function produce ({ topic, records, acks = 'all', codec = 'none', idempotent = false }) {
  const messages = records.map(each => {
    const message = { key: dec(each.key), value: dec(each.value), headers: headersOf(each.headers) }
    if (each.partition !== undefined && each.partition !== null) message.partition = each.partition
    if (each.timestamp) message.timestamp = String(each.timestamp)
    return message
  })
  const to = await producer(idempotent)
  const answers = await to.send({
    topic, messages, acks: { all: -1, 1: 1, 0: 0 }[acks], compression: CODECS[codec],
  })
  if (acks === '0') return { acks: records.map(each => [each.partition, -1]) }
  const next = new Map(answers.map(each => [each.partition, Number(each.baseOffset)]))
  // The library does not say where a record went: the same partitioner is asked again.
  const choose = kafkajs.Partitioners.DefaultPartitioner()
  const partitionMetadata = await partitionsOf(topic)
  return {
    acks: messages.map(message => {
      const partition = message.partition ?? choose({ topic, partitionMetadata, message })
      const offset = next.get(partition)
      next.set(partition, offset + 1)
      return [partition, offset]
    }),
  }
}

async function partitionsOf (topic) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0].partitions
}

async function consume (request) {
  const { topic, partition, from, reset = 'none', count, timeout_ms: ms = 10000 } = request
  const made = consumer({ group: `consume-${process.pid}-${request.id}`, max_bytes: request.max_bytes })
  const found = []
  const fromBeginning = from === 'earliest' || (typeof from === 'number' && reset === 'earliest')
  if (typeof from === 'number' && reset === 'none') {
    const { low, high } = (await admin.fetchTopicOffsets(topic)).find(
      each => each.partition === partition)
    if (from < Number(low) || from > Number(high)) {
      throw new Lacks('an offset out of range is always reset')
    }
  }
  try {
    await made.connect()
    await made.subscribe({ topic, fromBeginning })
    await new Promise((resolve, reject) => {
      setTimeout(resolve, ms)
      made.on(made.events.CRASH, event => reject(event.payload.error))
      made.run({
        autoCommit: false,
        eachBatch: async ({ batch }) => {
          if (batch.partition !== partition) return
          for (const message of batch.messages) {
            if (typeof from === 'number' && reset === 'none' && message.offset < from) continue
            if (found.length < count) found.push(stored(topic, partition, message))
          }
          if (found.length >= count) resolve()
        },
      }).then(() => {
        if (typeof from === 'number') made.seek({ topic, partition, offset: String(from) })
      }, reject)
    })
  } finally {
    made.disconnect().catch(() => {})
  }
  return { records: found }
}

async function offset (request) {
  const { topic, partition, at } = request
  let list
  try {
    list = typeof at === 'number'
      ? await admin.fetchTopicOffsetsByTimestamp(topic, at)
      : await admin.fetchTopicOffsets(topic)
  } catch (error) {
    // It stumbles over a topic that another of its calls makes it forget; once more.
    if (!(error instanceof TypeError) || request.again) throw error
    return offset({ ...request, again: true })
  }
  const found = list.find(each => each.partition === partition)
  return { offset: Number(at === 'earliest' ? found.low : found.offset) }
}

// -- members

const backwards = ({ cluster }) => ({
  name: 'backwards',
  version: 0,
  async assign ({ members: all, topics }) {
    const names = all.map(each => each.memberId).sort().reverse()
    const dealt = Object.fromEntries(names.map(name => [name, {}]))
    let at = 0
    for (const topic of [...topics].sort()) {
      const numbers = cluster.findTopicPartitionMetadata(topic).map(each => each.partitionId)
      for (const number of numbers.sort((a, b) => a - b)) {
        const mine = dealt[names[at++ % names.length]]
        mine[topic] = [...(mine[topic] || []), number]
      }
    }
    return names.map(memberId => ({
      memberId,
      memberAssignment: AssignerProtocol.MemberAssignment.encode({
        version: 0, assignment: dealt[memberId], userData: Buffer.alloc(0),
      }),
    }))
  },
  protocol: ({ topics }) => ({
    name: 'backwards',
    metadata: AssignerProtocol.MemberMetadata.encode({
      version: 0, topics, userData: Buffer.from('hello'),
    }),
  }),
})

function consumer (request) {
  const assigners = request.assignor === 'custom'
    ? [backwards]
    : [kafkajs.PartitionAssigners.roundRobin]
  return kafka.consumer({
    groupId: request.group, partitionAssigners: assigners, allowAutoTopicCreation: false,
    sessionTimeout: request.session_ms || 6000, heartbeatInterval: request.heartbeat_ms || 300,
    rebalanceTimeout: request.rebalance_ms || 30000, metadataMaxAge: request.metadata_ms || 1000,
    maxWaitTimeInMs: 100, maxBytesPerPartition: request.max_bytes || 1048576,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 6 },
  })
}

const sorted = list => list.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] - b[1]))

async function join (request) {
  const { member, topics, assignor, reset = 'earliest', auto_commit_ms: interval } = request
  if (assignor && !['roundrobin', 'custom'].includes(assignor)) {
    throw new Lacks('the only assignor that comes with it is its round robin')
  }
  if (reset === 'none') throw new Lacks('a consumer starts at the beginning or at the end')
  if (request.commit_on_revoke) throw new Lacks('there is no callback when partitions go')
  if (request.instance) throw new Lacks('there are no static members')
  const made = consumer(request)
  const kept = {
    made, group: request.group, records: [], events: [], error: null, assigned: [],
    positions: new Map(),
  }
  made.on(made.events.GROUP_JOIN, ({ payload }) => {
    const list = []
    for (const [topic, numbers] of Object.entries(payload.memberAssignment)) {
      for (const number of numbers) list.push([topic, number])
    }
    kept.assigned = sorted(list)
    kept.events.push(['assigned', kept.assigned])
  })
  made.on(made.events.REBALANCING, () => {
    kept.events.push(['revoked', kept.assigned])
    kept.assigned = []
  })
  made.on(made.events.CRASH, ({ payload }) => { kept.error = errorOf(payload.error) })
  await made.connect()
  await made.subscribe({ topics, fromBeginning: reset === 'earliest' })
  members.set(member, kept)
  await made.run({
    autoCommit: Boolean(interval),
    autoCommitInterval: interval || null,
    partitionsConsumedConcurrently: 8,
    eachBatch: async ({ batch }) => {
      for (const message of batch.messages) {
        kept.records.push(stored(batch.topic, batch.partition, message))
        kept.positions.set(JSON.stringify([batch.topic, batch.partition]),
          Number(message.offset) + 1)
      }
    },
  })
}

async function commit ({ member, how = 'sync', offsets = null }) {
  if (how === 'async') throw new Lacks('a commit has no callback, it is awaited')
  const kept = members.get(member)
  const list = offsets || kept.assigned
    .filter(part => kept.positions.has(JSON.stringify(part)))
    .map(part => [...part, kept.positions.get(JSON.stringify(part)), null])
  await kept.made.commitOffsets(list.map(([topic, partition, at, metadata]) => (
    { topic, partition, offset: String(at), metadata })))
}

async function groupOffsets (group, partitions) {
  const topics = [...new Set(partitions.map(part => part[0]))]
  const found = await admin.fetchOffsets({ groupId: group, topics })
  return {
    offsets: partitions.map(([topic, number]) => {
      const list = found.find(each => each.topic === topic).partitions
      const got = list.find(each => each.partition === number)
      return [topic, number, got ? Number(got.offset) : -1, (got && got.metadata) || '']
    }),
  }
}

const TOPIC = kafkajs.ConfigResourceTypes.TOPIC

const ops = {
  produce,
  consume,
  offset,
  join,
  commit,
  assign: async () => { throw new Lacks('there is no consumer by assignment') },
  subscribe: async () => { throw new Lacks('topics can be added to a stopped consumer only') },
  stall: async () => { throw new Lacks('there is no max.poll.interval.ms') },
  state: async ({ member }) => {
    const { assigned, events, error } = members.get(member)
    return { assigned, events, error }
  },
  take: async ({ member }) => {
    const kept = members.get(member)
    const records = kept.records
    kept.records = []
    return { records }
  },
  committed: async ({ member, partitions }) => groupOffsets(members.get(member).group, partitions),
  seek: async ({ member, topic, partition, offset: at }) => {
    members.get(member).made.seek({ topic, partition, offset: String(at) })
  },
  leave: async ({ member }) => {
    const kept = members.get(member)
    members.delete(member)
    await kept.made.disconnect()
  },
  create_topic: async ({ topic, partitions, replication = 1, configs = {} }) => {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    const done = await admin.createTopics({
      waitForLeaders: false,
      topics: [{ topic, numPartitions: partitions, replicationFactor: replication, configEntries }],
    })
    // It hides this one error behind a false.
    if (!done) throw new Failure(36, 'the topic exists')
  },
  delete_topic: async ({ topic }) => admin.deleteTopics({ topics: [topic] }),
  create_partitions: async ({ topic, count }) => {
    await admin.createPartitions({ topicPartitions: [{ topic, count }] })
  },
  topic: async ({ topic }) => {
    const list = (await partitionsOf(topic)).sort((a, b) => a.partitionId - b.partitionId)
    return { partitions: list.map(each => [each.partitionId, each.leader, each.replicas, each.isr]) }
  },
  configs: async ({ topic }) => {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false, resources: [{ type: TOPIC, name: topic }],
    })
    const list = resources[0].configEntries.map(each => [each.configName, each.configValue])
    return { configs: Object.fromEntries(list) }
  },
  // Replaces all: the library has no incremental form.
  alter_config: async ({ topic, name, value }) => {
    const configEntries = value === null ? [] : [{ name, value }]
    await admin.alterConfigs({ resources: [{ type: TOPIC, name: topic, configEntries }] })
  },
  delete_records: async ({ topic, partition, before }) => {
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(before) }] })
    return { low: (await offset({ topic, partition, at: 'earliest' })).offset }
  },
  groups: async () => {
    const { groups } = await admin.listGroups()
    return { groups: groups.map(each => each.groupId).sort() }
  },
  group: async ({ group }) => {
    const { groups } = await admin.describeGroups([group])
    const [found] = groups
    return { state: found.state, protocol: found.protocol, members: found.members.length }
  },
  group_offsets: async ({ group, partitions }) => groupOffsets(group, partitions),
  delete_group: async ({ group }) => { await admin.deleteGroups([group]) },
}

const say = value => process.stdout.write(JSON.stringify(value) + '\n')

async function answer (request) {
  const { id, op } = request
  try {
    if (!ops[op]) throw new Lacks(`no ${op}`)
    const ok = await ops[op](request)
    say({ id, ok: ok && typeof ok === 'object' ? ok : {} })
  } catch (error) {
    if (error instanceof Lacks) say({ id, lacks: error.message })
    else say({ id, error: errorOf(error) })
  }
}

async function main () {
  const zstd = await new Promise(resolve => ZstdCodec.run(found => resolve(new found.Simple())))
  codecs(zstd)
  await admin.connect()
  say({ ready: true, client: `kafkajs ${version}` })
  const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity })
  lines.on('line', line => { answer(JSON.parse(line)) })
  lines.on('close', () => process.exit(0))
}

process.on('unhandledRejection', error => console.error('unhandled', error))
main()
