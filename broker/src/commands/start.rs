//! Where consuming begins.

use std::collections::BTreeMap;

use client::{Client, OffsetSpec};
use tokio::time::Instant;

use super::failure::Failure;
use super::moment::moment;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Beginning,
    Latest,
    Offset(i64),
    Last(i64),
    At(i64),
}

impl Start {
    /// Reads an argument.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("{text} is none of beginning, latest, OFFSET, -N, @TIME");
        match text {
            "beginning" | "earliest" => return Ok(Self::Beginning),
            "latest" | "end" => return Ok(Self::Latest),
            _ => {}
        }
        if let Some(time) = text.strip_prefix('@') {
            return moment(time).map(Self::At);
        }
        let number: i64 = text.parse().map_err(|_| expected())?;
        Ok(if number < 0 { Self::Last(number.saturating_neg()) } else { Self::Offset(number) })
    }
}

/// The first offset of each partition.
pub(super) async fn starts(
    client: &Client,
    topic: &str,
    partitions: &[i32],
    from: Start,
    deadline: Instant,
) -> Result<BTreeMap<i32, i64>, Failure> {
    let ask = |spec| client.list_offsets(topic, partitions, spec, deadline);
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let known = |offsets: BTreeMap<i32, Option<i64>>| -> BTreeMap<i32, i64> {
        offsets.into_iter().map(|(index, offset)| (index, offset.unwrap_or_default())).collect()
    };
    Ok(match from {
        Start::Beginning => known(ask(OffsetSpec::Earliest).await?),
        Start::Latest => known(ask(OffsetSpec::Latest).await?),
        Start::Offset(offset) => partitions.iter().map(|index| (*index, offset)).collect(),
        Start::Last(count) => {
            let first = known(ask(OffsetSpec::Earliest).await?);
            let ends = known(ask(OffsetSpec::Latest).await?);
            let start = |(index, end): (i32, i64)| {
                (index, (end - count).max(first.get(&index).copied().unwrap_or_default()))
            };
            ends.into_iter().map(start).collect()
        }
        Start::At(time) => {
            let found = ask(OffsetSpec::At(time)).await?;
            let ends = known(ask(OffsetSpec::Latest).await?);
            // No record as young as that: what comes next is.
            ends.into_iter()
                .map(|(index, end)| (index, found.get(&index).copied().flatten().unwrap_or(end)))
                .collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_begin() {
        assert_eq!(Start::parse("beginning"), Ok(Start::Beginning));
        assert_eq!(Start::parse("latest"), Ok(Start::Latest));
        assert_eq!(Start::parse("12"), Ok(Start::Offset(12)));
        assert_eq!(Start::parse("-3"), Ok(Start::Last(3)));
        assert_eq!(Start::parse("@1700000000000"), Ok(Start::At(1_700_000_000_000)));
        for wrong in ["", "first", "@x", "1.5", "@"] {
            assert!(Start::parse(wrong).is_err(), "{wrong}");
        }
    }
}
