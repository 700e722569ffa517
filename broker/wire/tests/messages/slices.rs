//! Batches are not copied: a decoded Produce points into its frame, an encoded Fetch names the
//! ranges of files between its own bytes.

use bytes::Bytes;
use wire::codec::Writer;
use wire::message::{from_bytes, to_bytes};
use wire::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use wire::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use wire::records_slot::{Piece, Records};
use wire::{ApiKey, Message, frame};

use crate::support::{Random, seed};

/// A file that is only its contents: a range is a start and an end.
const FILE: &[u8] = &[0xf1; 5000];

type FileRange = (usize, usize);

/// The same response twice: with ranges of the file, and with the bytes that they stand for.
fn responses(random: &mut Random) -> (FetchResponse<FileRange>, FetchResponse) {
    let mut ranged = FetchResponse::default();
    let mut plain = FetchResponse::default();
    for _ in 0..random.below(4) {
        let mut topic = FetchableTopicResponse::default();
        let mut plain_topic = FetchableTopicResponse::default();
        for partition_index in 0..random.below(4) as i32 {
            let mut records = Records::new();
            let mut bytes = Vec::new();
            for _ in 0..random.below(4) {
                let length = random.below(2000);
                if random.one_in(2) {
                    let start = random.below(3000);
                    records.push_range((start, start + length), length as u32);
                    bytes.extend_from_slice(&FILE[start..start + length]);
                } else {
                    records.push_bytes(Bytes::from(vec![3; length]));
                    bytes.extend_from_slice(&vec![3; length]);
                }
            }
            topic.partitions.push(PartitionData {
                partition_index,
                records: Some(records),
                ..PartitionData::default()
            });
            plain_topic.partitions.push(PartitionData {
                partition_index,
                records: Some(Records::from(Bytes::from(bytes))),
                ..PartitionData::default()
            });
        }
        ranged.responses.push(topic);
        plain.responses.push(plain_topic);
    }
    (ranged, plain)
}

fn sent(pieces: Vec<Piece<FileRange>>) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => out.extend_from_slice(&bytes),
            Piece::Range { range: (start, end), len } => {
                assert_eq!(end - start, len as usize);
                out.extend_from_slice(&FILE[start..end]);
            }
        }
    }
    out
}

#[test]
fn a_fetch_of_ranges_is_the_fetch_of_their_bytes() {
    let mut random = Random::new(seed());
    for version in FetchResponse::<FileRange>::VERSIONS {
        for _ in 0..20 {
            let (ranged, plain) = responses(&mut random);
            let mut writer = Writer::new();
            ranged.encode(&mut writer, version).unwrap();
            let length = writer.len();
            let bytes = sent(writer.finish());
            assert_eq!(bytes.len() as u64, length);
            assert_eq!(bytes, to_bytes(&plain, version).unwrap());

            let pieces = frame::encode_response(1, ApiKey::Fetch, version, &ranged).unwrap();
            let framed = sent(pieces);
            let announced = u32::from_be_bytes(framed[..4].try_into().unwrap());
            assert_eq!(announced as usize, framed.len() - 4);
        }
    }
}

#[test]
fn a_decoded_produce_points_into_its_frame() {
    let records = Some(Bytes::from(vec![9; 4000]));
    let partition = PartitionProduceData { index: 0, records };
    let topic = TopicProduceData { partition_data: vec![partition], ..Default::default() };
    let request = ProduceRequest { topic_data: vec![topic], ..Default::default() };
    for version in ProduceRequest::VERSIONS {
        let frame = to_bytes(&request, version).unwrap();
        let decoded: ProduceRequest = from_bytes(frame.clone(), version).unwrap();
        let batch = decoded.topic_data[0].partition_data[0].records.clone().unwrap();
        assert!(frame.as_ptr_range().contains(&batch.as_ptr()), "version {version}");
    }
}
