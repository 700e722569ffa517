//! Requests and responses with their headers: which header goes with which version, and the rule
//! of ApiVersions that lets the two sides meet. The 4-byte length before a frame is the
//! connection's to read; it is written here.

use bytes::Bytes;
use thiserror::Error;

use crate::api_key::ApiKey;
use crate::codec::{DecodeError, EncodeError, Reader, Writer};
use crate::message::{Message, Request};
use crate::records_slot::Piece;

/// What every request begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API asked for.
    pub key: ApiKey,
    /// The version of the API.
    pub version: i16,
    /// The number that the response repeats.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

/// Why a frame is not a request that can be handed on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// No API has this key: the connection is closed.
    #[error("unknown api key {key} (version {version})")]
    UnknownApiKey {
        /// The key.
        key: i16,
        /// The version.
        version: i16,
    },
    /// The API is known, this version of it is not. Kafka closes the connection, except for
    /// ApiVersions, which is answered in version 0 with the error UNSUPPORTED_VERSION.
    #[error("{key} has no version {version}")]
    UnsupportedVersion {
        /// The API.
        key: ApiKey,
        /// The version.
        version: i16,
        /// The number that the response repeats.
        correlation_id: i32,
    },
    /// The bytes are no request header: the connection is closed.
    #[error("request header: {0}")]
    Malformed(#[from] DecodeError),
}

/// Reads the header of a request; the reader is left at the body. The versions accepted are those
/// of our field tables: a server that serves fewer checks the version itself.
pub fn decode_request_header(frame: Bytes) -> Result<(RequestHeader, Reader), HeaderError> {
    let mut reader = Reader::new(frame);
    let raw_key = reader.i16()?;
    let version = reader.i16()?;
    let correlation_id = reader.i32()?;
    let Some(key) = ApiKey::from_i16(raw_key) else {
        return Err(HeaderError::UnknownApiKey { key: raw_key, version });
    };
    if !key.versions().contains(&version) {
        return Err(HeaderError::UnsupportedVersion { key, version, correlation_id });
    }
    // The client id has a 2-byte length in every header, for the sake of ApiVersions.
    let client_id = reader.nullable_string(false)?;
    if key.is_flexible(version) {
        reader.skip_tags()?;
    }
    Ok((RequestHeader { key, version, correlation_id, client_id }, reader))
}

/// Reads the body of a request. Bytes after it are not looked at, as in Kafka: librdkafka 2.16
/// sends three of them with Metadata version 13.
pub fn decode_request<M: Request>(
    header: &RequestHeader,
    mut body: Reader,
) -> Result<M, DecodeError> {
    M::decode(&mut body, header.version)
}

/// Whether the response header has tagged fields. That of ApiVersions never has: a client reads it
/// before it knows what the broker speaks.
fn response_header_is_flexible(key: ApiKey, version: i16) -> bool {
    key != ApiKey::ApiVersions && key.is_flexible(version)
}

/// A response with its header and the 4-byte length before it.
pub fn encode_response<M: Message>(
    correlation_id: i32,
    key: ApiKey,
    version: i16,
    response: &M,
) -> Result<Vec<Piece<M::Range>>, EncodeError> {
    let mut writer = Writer::new();
    writer.i32(0);
    writer.i32(correlation_id);
    if response_header_is_flexible(key, version) {
        writer.unsigned_varint(0);
    }
    response.encode(&mut writer, version)?;
    writer.patch_frame_len()?;
    Ok(writer.finish())
}

/// A request with its header and the 4-byte length before it.
pub fn encode_request<M: Request>(
    correlation_id: i32,
    client_id: Option<&str>,
    version: i16,
    request: &M,
) -> Result<Vec<Piece>, EncodeError> {
    let mut writer = Writer::new();
    writer.i32(0);
    writer.i16(M::KEY.code());
    writer.i16(version);
    writer.i32(correlation_id);
    writer.nullable_string(false, client_id)?;
    if M::KEY.is_flexible(version) {
        writer.unsigned_varint(0);
    }
    request.encode(&mut writer, version)?;
    writer.patch_frame_len()?;
    Ok(writer.finish())
}

/// The correlation id of a response frame (without its length), which is how a pipelining client
/// finds the request that it answers.
pub fn peek_correlation_id(frame: &Bytes) -> Result<i32, DecodeError> {
    Reader::new(frame.clone()).i32()
}

/// Reads a response frame (without its length) to a request of type `M` at `version`. The answer
/// to an ApiVersions request of a version that the broker lacks comes at version 0: a client that
/// cannot read it at its own version reads it again at that one.
pub fn decode_response<M: Request>(
    frame: Bytes,
    version: i16,
    correlation_id: i32,
) -> Result<M::Response, DecodeError> {
    let mut reader = Reader::new(frame);
    let found = reader.i32()?;
    if found != correlation_id {
        return Err(DecodeError::CorrelationMismatch { expected: correlation_id, found });
    }
    if response_header_is_flexible(M::KEY, version) {
        reader.skip_tags()?;
    }
    let response = M::Response::decode(&mut reader, version)?;
    reader.finish()?;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::api_versions_request::ApiVersionsRequest;
    use crate::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
    use crate::messages::metadata_request::MetadataRequest;
    use crate::records_slot::concat;

    /// The frame without its length, which must say how long the rest is.
    fn framed(pieces: Vec<Piece>) -> Bytes {
        let mut bytes = concat(pieces);
        let length = bytes.split_to(4);
        assert_eq!(length[..], u32::try_from(bytes.len()).unwrap().to_be_bytes());
        bytes
    }

    #[test]
    fn a_request_comes_back_with_its_header() {
        for version in ApiKey::Metadata.versions() {
            let request = MetadataRequest::default();
            let frame = framed(encode_request(7, Some("me"), version, &request).unwrap());
            let (header, body) = decode_request_header(frame).unwrap();
            let client_id = Some("me".to_owned());
            let expected =
                RequestHeader { key: ApiKey::Metadata, version, correlation_id: 7, client_id };
            assert_eq!(header, expected);
            assert_eq!(decode_request::<MetadataRequest>(&header, body), Ok(request));
        }
    }

    #[test]
    fn the_header_of_an_api_versions_response_is_never_flexible() {
        let api = ApiVersion { api_key: 18, min_version: 0, max_version: 4 };
        let response = ApiVersionsResponse { api_keys: vec![api], ..Default::default() };
        let pieces = encode_response(5, ApiKey::ApiVersions, 3, &response).unwrap();
        let frame = framed(pieces);
        // Correlation id, error code, compact count: no tagged fields between.
        assert_eq!(frame[..7], [0, 0, 0, 5, 0, 0, 2]);
        assert_eq!(decode_response::<ApiVersionsRequest>(frame, 3, 5), Ok(response));
    }

    #[test]
    fn an_unknown_version_is_answerable() {
        let mut frame = vec![0, 18, 0x7f, 0xff, 0, 0, 0, 9];
        frame.extend_from_slice(&[0xab; 40]);
        let expected = HeaderError::UnsupportedVersion {
            key: ApiKey::ApiVersions,
            version: i16::MAX,
            correlation_id: 9,
        };
        assert_eq!(decode_request_header(frame.into()).unwrap_err(), expected);
    }

    #[test]
    fn bad_headers_are_refused() {
        let unknown = Bytes::from_static(&[0x03, 0xe8, 0, 1, 0, 0, 0, 1, 0xff, 0xff]);
        let expected = HeaderError::UnknownApiKey { key: 1000, version: 1 };
        assert_eq!(decode_request_header(unknown).unwrap_err(), expected);
        for length in 0..10 {
            let cut = Bytes::from_static(&[0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff]).slice(..length);
            let outcome = decode_request_header(cut).map(|_| ());
            assert!(matches!(outcome, Err(HeaderError::Malformed(_))), "{length}");
        }
    }

    #[test]
    fn bytes_after_a_request_are_not_looked_at() {
        let request = MetadataRequest::default();
        let mut bytes = concat(encode_request(7, None, 9, &request).unwrap()).to_vec();
        bytes.push(0);
        let (header, body) = decode_request_header(Bytes::from(bytes).slice(4..)).unwrap();
        let outcome = decode_request::<MetadataRequest>(&header, body);
        assert_eq!(outcome, Ok(request));
    }

    #[test]
    fn a_response_to_another_request_is_refused() {
        let response = ApiVersionsResponse::default();
        let frame = framed(encode_response(5, ApiKey::ApiVersions, 0, &response).unwrap());
        assert_eq!(peek_correlation_id(&frame), Ok(5));
        let outcome = decode_response::<ApiVersionsRequest>(frame, 0, 6);
        assert_eq!(outcome, Err(DecodeError::CorrelationMismatch { expected: 6, found: 5 }));
    }
}
