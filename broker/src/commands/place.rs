//! Topics and partitions as arguments.

use std::collections::BTreeMap;

use client::Client;
use tokio::time::Instant;

use super::failure::Failure;

/// A topic, or some of its partitions: `orders`, `orders:0,3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) topic: String,
    /// All of them when not said.
    pub(super) partitions: Option<Vec<i32>>,
}

impl Places {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((topic, list)) = text.split_once(':') else {
            return Ok(Self { topic: text.to_owned(), partitions: None });
        };
        let number = |one: &str| one.trim().parse().ok().filter(|index: &i32| *index >= 0);
        let partitions: Option<Vec<i32>> = list.split(',').map(number).collect();
        let partitions =
            partitions.ok_or_else(|| format!("{text}: expected TOPIC or TOPIC:0,1,2"))?;
        Ok(Self { topic: topic.to_owned(), partitions: Some(partitions) })
    }
}

/// The partitions meant, by topic.
pub(super) async fn resolve(
    client: &Client,
    places: &[Places],
    deadline: Instant,
) -> Result<BTreeMap<String, Vec<i32>>, Failure> {
    let mut resolved: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for place in places {
        let indexes = match &place.partitions {
            Some(partitions) => partitions.clone(),
            None => {
                let topic = client.topic(&place.topic, false, deadline).await?;
                topic.partitions.iter().map(|partition| partition.index).collect()
            }
        };
        let known = resolved.entry(place.topic.clone()).or_default();
        known.extend(indexes);
        known.sort_unstable();
        known.dedup();
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let places = |topic: &str, partitions: Option<&[i32]>| Places {
            topic: topic.to_owned(),
            partitions: partitions.map(<[i32]>::to_vec),
        };
        assert_eq!(Places::parse("t"), Ok(places("t", None)));
        assert_eq!(Places::parse("t:0"), Ok(places("t", Some(&[0]))));
        assert_eq!(Places::parse("a.b:3,1"), Ok(places("a.b", Some(&[3, 1]))));
        for wrong in ["t:", "t:a", "t:-1", "t:1,", "t:1:2"] {
            assert!(Places::parse(wrong).is_err(), "{wrong}");
        }
    }
}
