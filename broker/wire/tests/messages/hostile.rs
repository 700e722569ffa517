//! No input panics, aborts, or makes the decoder hold more than a small multiple of its size: an
//! allocator that counts watches while bad bytes are decoded.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::support::{Case, Random, cases, seed};
use bytes::Bytes;
use wire::NoRange;
use wire::codec::limits::{MEMORY_BASE_BYTES, MEMORY_PER_BYTE};
use wire::codec::{DecodeError, Writer};
use wire::frame::decode_request_header;
use wire::message::from_bytes;
use wire::messages::find_coordinator_request::FindCoordinatorRequest;
use wire::records_slot::concat;

struct Counting;

thread_local! {
    // What this thread holds, and the most that it held: other tests run in other threads.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

#[expect(unsafe_code, reason = "an allocator is an unsafe trait; this one only counts")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that decoding `input` bytes may hold: the decoder's own budget, and the old half of
/// a vector that is growing.
fn allowed(input: usize) -> usize {
    3 * (MEMORY_PER_BYTE * input + MEMORY_BASE_BYTES) / 2
}

/// Runs `work` and returns the most memory that it held at once.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let out = work();
    (out, (PEAK.get() - before).cast_unsigned())
}

fn damage(random: &mut Random, bytes: &Bytes) -> Bytes {
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(out.len() + 1);
        match random.below(5) {
            0 => out.truncate(at),
            1 => out.insert(at, random.u64() as u8),
            2 => {
                // A large count or length, fixed or compact.
                let large: &[u8] = if random.one_in(2) {
                    &[0x7f, 0xff, 0xff, 0xff]
                } else {
                    &[0xff, 0xff, 0xff, 0xff, 0x07]
                };
                let end = (at + large.len()).min(out.len());
                out.splice(at..end, large.iter().copied());
            }
            _ if at < out.len() => out[at] = random.u64() as u8,
            _ => out.push(0xff),
        }
    }
    out.into()
}

/// Bytes that are wrong for nearly every message.
fn nonsense() -> Vec<Bytes> {
    vec![
        Bytes::from_static(&[0x7f; 61]),
        Bytes::from_static(&[0xff; 61]),
        Bytes::from(vec![1; 20_000]),
        Bytes::from(vec![0; 20_000]),
    ]
}

/// Decodes `input` and says whether that failed, having checked what it held.
fn is_refused(case: &Case, version: i16, input: Bytes) -> bool {
    let length = input.len();
    let (accepted, peak) = peak_of(|| (case.recode)(input, version).is_ok());
    // What is accepted is encoded again, into a buffer that grows by doubling.
    assert!(
        peak <= allowed(length) + 3 * length + 1024,
        "{} version {version}: {length} bytes made {peak} bytes live",
        case.name
    );
    !accepted
}

#[test]
fn bad_bytes_are_errors_and_hold_little_memory() {
    let mut random = Random::new(seed());
    let (mut refused, mut tried) = (0_usize, 0_usize);
    for case in cases() {
        for version in case.versions.clone() {
            let mut inputs = nonsense();
            for _ in 0..4 {
                let good = (case.sample)(&mut random, version);
                inputs.extend((0..10).map(|_| damage(&mut random, &good)));
                let length = random.below(64);
                inputs.push((0..length).map(|_| random.u64() as u8).collect());
            }
            tried += inputs.len();
            for input in inputs {
                refused += usize::from(is_refused(&case, version, input));
            }
        }
    }
    assert!(refused > tried / 3, "{refused} of {tried} refused");
}

/// A hundred thousand empty names: one byte each on the wire, a string each in memory.
#[test]
fn many_tiny_elements_are_refused() {
    let names = 100_000_u32;
    let mut writer = Writer::<NoRange>::new();
    writer.i8(0);
    writer.unsigned_varint(names + 1);
    writer.raw(&vec![1; names as usize]);
    writer.unsigned_varint(0);
    let input = concat(writer.finish());
    let length = input.len();
    let (outcome, peak) = peak_of(|| from_bytes::<FindCoordinatorRequest>(input, 6));
    assert_eq!(outcome, Err(DecodeError::TooMuchMemory { input: length }));
    assert!(peak < length, "{peak} bytes live");
}

#[test]
fn random_frames_are_refused_or_read() {
    let mut random = Random::new(seed());
    let mut headers = 0;
    for _ in 0..20_000 {
        let length = random.below(80);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.below(150) as u8).collect();
        // Mostly an API and a version that exist, or nothing would get past them.
        for (at, most) in [(0, 1), (1, 80), (2, 1), (3, 12), (8, 1), (9, 30)] {
            if at < length && !random.one_in(20) {
                bytes[at] = random.below(most) as u8;
            }
        }
        let (outcome, peak) = peak_of(|| decode_request_header(bytes.into()).is_ok());
        headers += usize::from(outcome);
        assert!(peak < 1024, "{peak} bytes live");
    }
    assert!(headers > 100, "only {headers} headers read");
}
