//! What the tests of the codec share: seeded randomness and a case per message.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use bytes::Bytes;
use wire::codec::{DecodeError, EncodeError};
use wire::ids::Uuid;
use wire::message::{from_bytes, to_bytes};
use wire::{Message, NoRange};

mod samples;

pub(crate) use samples::cases;

/// The seed of a test's randomness: `TIDELOG_TEST_SEED`, else a fixed one. It is printed, so that
/// a failure can be had again.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("TIDELOG_TEST_SEED").map_or(20_261_122, |text| text.parse().unwrap());
    println!("TIDELOG_TEST_SEED={seed}");
    seed
}

/// SplitMix64, and values that favour the edges of their type.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.u64() % end as u64).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn i64(&mut self) -> i64 {
        match self.below(6) {
            0 => 0,
            1 => -1,
            2 => i64::MAX,
            3 => i64::MIN,
            4 => i64::from(u8::try_from(self.below(256)).unwrap()),
            _ => self.u64().cast_signed(),
        }
    }

    pub(crate) fn i32(&mut self) -> i32 {
        match self.below(6) {
            0 => 0,
            1 => -1,
            2 => i32::MAX,
            3 => i32::MIN,
            _ => (self.u64() as u32).cast_signed() >> self.below(31),
        }
    }

    pub(crate) fn i16(&mut self) -> i16 {
        self.i32() as i16
    }

    pub(crate) fn u16(&mut self) -> u16 {
        self.i16().cast_unsigned()
    }

    pub(crate) fn i8(&mut self) -> i8 {
        self.i32() as i8
    }

    pub(crate) fn f64(&mut self) -> f64 {
        f64::from(self.i32()) / 8.0
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        if self.one_in(4) {
            return Uuid::ZERO;
        }
        let high = u128::from(self.u64());
        Uuid((high << 64 | u128::from(self.u64())).to_be_bytes())
    }

    pub(crate) fn string(&mut self) -> String {
        match self.below(8) {
            0 => String::new(),
            1 => "ünïcode ≈ 𝄞".to_owned(),
            2 => "x".repeat(self.below(300)),
            _ => format!("topic-{}", self.below(1000)),
        }
    }

    pub(crate) fn bytes(&mut self) -> Bytes {
        let length = if self.one_in(8) { self.below(3000) } else { self.below(20) };
        (0..length).map(|_| self.u64() as u8).collect()
    }

    pub(crate) fn vec<T>(&mut self, mut element: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = if self.one_in(20) { self.below(140) } else { self.below(3) };
        (0..length.min(200)).map(|_| element(self)).collect()
    }

    pub(crate) fn option<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.one_in(4) { None } else { Some(value(self)) }
    }
}

/// Makes a random value of one message at a version, as bytes.
type Sample = dyn Fn(&mut Random, i16) -> Bytes;

/// One message, its type forgotten.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The Java package of the message, under `org.apache.kafka`.
    pub(crate) package: &'static str,
    pub(crate) versions: RangeInclusive<i16>,
    /// A random value as bytes; it has been seen to come back equal from them.
    pub(crate) sample: Box<Sample>,
    /// Decodes and encodes again.
    pub(crate) recode: fn(Bytes, i16) -> Result<Result<Bytes, EncodeError>, DecodeError>,
    /// Decodes at the first version, encodes at the second.
    pub(crate) convert: fn(Bytes, i16, i16) -> Result<Bytes, EncodeError>,
    /// The default value as bytes.
    pub(crate) default: fn(i16) -> Result<Bytes, EncodeError>,
}

impl Case {
    fn of<M>(package: &'static str, random: fn(&mut Random, i16) -> M) -> Self
    where
        M: Message<Range = NoRange> + Default + PartialEq + Debug + 'static,
    {
        let sample = move |source: &mut Random, version: i16| {
            let value = random(source, version);
            let bytes = to_bytes(&value, version)
                .unwrap_or_else(|error| panic!("{} {version}: {error}\n{value:?}", M::NAME));
            let back = from_bytes::<M>(bytes.clone(), version)
                .unwrap_or_else(|error| panic!("{} {version}: {error}\n{value:?}", M::NAME));
            assert_eq!(value, back, "{} version {version}", M::NAME);
            bytes
        };
        Self {
            name: M::NAME,
            package,
            versions: M::VERSIONS,
            sample: Box::new(sample),
            recode: |bytes, version| {
                from_bytes::<M>(bytes, version).map(|value| to_bytes(&value, version))
            },
            convert: |bytes, from, to| {
                let value = from_bytes::<M>(bytes, from).expect("own bytes");
                to_bytes(&value, to)
            },
            default: |version| to_bytes(&M::default(), version),
        }
    }

    /// Samples of every version: at least `each` of each.
    pub(crate) fn samples(&self, random: &mut Random, each: usize) -> Vec<(i16, Bytes)> {
        let mut out = Vec::new();
        for version in self.versions.clone() {
            for _ in 0..each {
                out.push((version, (self.sample)(random, version)));
            }
        }
        out
    }
}
