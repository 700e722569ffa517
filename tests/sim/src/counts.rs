//! What happened in a run: a simulator in which nothing happens proves nothing.

macro_rules! counts {
    ($($name:ident,)*) => {
        /// What happened in a run.
        #[derive(Debug, Default, Clone, PartialEq, Eq)]
        pub(crate) struct Counts {
            $(pub(crate) $name: u64,)*
            /// The longest that a healed majority took to elect, in milliseconds.
            pub(crate) election_ms_max: i64,
        }

        impl Counts {
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                self.election_ms_max = self.election_ms_max.max(other.election_ms_max);
            }

            pub(crate) fn all_happened(&self) -> bool {
                [$(self.$name,)*].iter().all(|count| *count > 0)
            }
        }
    };
}

counts! {
    events,
    epochs,
    committed,
    snapshots,
    kills,
    stops,
    power_losses,
    power_losses_in_a_write,
    wiped,
    cuts,
    clock_jumps,
    slow_disks,
    voter_changes,
    ghosts,
    remade,
    confirmed,
    refused,
    records,
    duplicates,
    elections_by_a_majority,
}
