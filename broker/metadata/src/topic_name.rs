//! Which topic names are legal, which collide, which are the cluster's own.

/// The longest topic name.
pub const TOPIC_NAME_CHARS_MAX: usize = 249;
/// The topic that holds committed offsets and group metadata.
pub const GROUP_METADATA_TOPIC: &str = "__consumer_offsets";
/// The topic that holds the state of transactions.
pub const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";
/// The log of the metadata quorum, which is not a topic that anyone may create.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// Why a name is not a topic name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    /// A name that means a directory to every file system.
    #[error("Topic name is invalid: '.' or '..' is not allowed")]
    Dots,
    /// Longer than a directory name has room for.
    #[error(
        "Topic name is invalid: the length of '{name}' is longer than the max allowed length \
         {TOPIC_NAME_CHARS_MAX}"
    )]
    TooLong {
        /// The name as given.
        name: String,
    },
    /// A character outside the alphabet.
    #[error(
        "Topic name is invalid: '{name}' contains one or more characters other than ASCII \
         alphanumerics, '.', '_' and '-'"
    )]
    IllegalCharacter {
        /// The name as given.
        name: String,
    },
}

/// Checks a topic name.
///
/// # Errors
/// Says what is wrong with the name.
pub fn validate(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(NameError::Dots);
    }
    if name.chars().count() > TOPIC_NAME_CHARS_MAX {
        return Err(NameError::TooLong { name: name.to_owned() });
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !name.bytes().all(legal) {
        return Err(NameError::IllegalCharacter { name: name.to_owned() });
    }
    Ok(())
}

/// Whether the name has a character that metric names cannot tell from another.
pub fn may_collide(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// The form in which colliding names are equal: metric names turn '.' into '_'.
pub fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

/// Whether the topic belongs to the brokers rather than to a user.
pub fn is_internal(name: &str) -> bool {
    name == GROUP_METADATA_TOPIC || name == TRANSACTION_STATE_TOPIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "A.b_c-9", &"x".repeat(249), "...", "__consumer_offsets"] {
            assert_eq!(validate(good), Ok(()), "{good}");
        }
        assert_eq!(validate(""), Err(NameError::Empty));
        assert_eq!(validate(".."), Err(NameError::Dots));
        assert!(matches!(validate(&"x".repeat(250)), Err(NameError::TooLong { .. })));
        for bad in ["a b", "a/b", "ä", "a\0", "a,b", "a:b"] {
            assert!(matches!(validate(bad), Err(NameError::IllegalCharacter { .. })), "{bad}");
        }
    }

    #[test]
    fn collisions() {
        assert_eq!(collision_key("a.b_c"), collision_key("a_b.c"));
        assert!(!may_collide("a-b"));
        assert!(is_internal(GROUP_METADATA_TOPIC) && !is_internal("t"));
    }
}
