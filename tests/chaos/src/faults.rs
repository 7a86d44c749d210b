//! What can happen to a job, its broker and its KDC, and how often each is chosen.

use stygian_e2e::Chance;

/// Something that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The job is killed at a random moment, and started again at once.
    Kill,
    /// The job is killed when it comes to a named place in the program.
    KillAtPlace,
    /// The broker is told to end, and started again.
    BrokerRestart,
    /// The broker is killed, and started again.
    BrokerKill,
    /// The broker stands still for 1 to 15 seconds.
    BrokerPause,
    /// The KDC is away for less than half a ticket's life.
    KdcShort,
    /// The KDC is away for longer than a ticket lives.
    KdcLong,
    /// The job's process stands still while another one takes the job over, and goes on after that.
    Zombie,
    /// As before, but it goes on while the other one takes over.
    TwoAtOnce,
}

impl Fault {
    /// As it is called where faults are counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::KillAtPlace => "kill at a place",
            Self::BrokerRestart => "broker restart",
            Self::BrokerKill => "broker kill -9",
            Self::BrokerPause => "broker pause",
            Self::KdcShort => "KDC away for less than half a ticket's life",
            Self::KdcLong => "KDC away for more than a ticket's life",
            Self::Zombie => "stopped while another process takes over",
            Self::TwoAtOnce => "two processes at once",
        }
    }
}

/// All kinds; those that take longer are rarer.
pub const ALL: &[Fault] = &[
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::KillAtPlace,
    Fault::KillAtPlace,
    Fault::KillAtPlace,
    Fault::KillAtPlace,
    Fault::KillAtPlace,
    Fault::KillAtPlace,
    Fault::BrokerRestart,
    Fault::BrokerRestart,
    Fault::BrokerKill,
    Fault::BrokerKill,
    Fault::BrokerPause,
    Fault::BrokerPause,
    Fault::BrokerPause,
    Fault::KdcShort,
    Fault::KdcShort,
    Fault::KdcLong,
    Fault::Zombie,
    Fault::TwoAtOnce,
];

/// One of most kinds, for a run of less than a minute.
pub const QUICK: &[Fault] =
    &[Fault::Kill, Fault::KillAtPlace, Fault::KdcShort, Fault::BrokerKill, Fault::Zombie, Fault::KillAtPlace, Fault::BrokerPause];

/// The places that a job between topics comes to.
pub(crate) const PLACES: [&str; 14] = [
    "barrier",
    "snapshot",
    "state-unfinished",
    "state-written",
    "stored",
    "pre-committed",
    "manifest-unwritten",
    "manifest-written",
    "transaction-open",
    "transaction-open",
    "transaction-committed",
    "garbage",
    "recovering",
    "restoring",
];

/// So many faults of these kinds, in an order that the chance gives.
pub(crate) fn chosen(kinds: &[Fault], count: usize, chance: &mut Chance) -> Vec<Fault> {
    let mut all = Vec::new();
    while all.len() < count {
        let mut deck = kinds.to_vec();
        for last in (1..deck.len()).rev() {
            deck.swap(last, usize::try_from(chance.below(last as u64 + 1)).unwrap_or_default());
        }
        all.extend(deck);
    }
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_all_kinds_in_an_order_of_its_own() {
        let of = |seed| chosen(ALL, 30, &mut Chance(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(of(3).len(), 30);
        assert!(ALL.iter().all(|fault| of(4).contains(fault)));
    }
}
