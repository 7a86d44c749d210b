//! What can happen to a job, its broker, its KDC and its HDFS, and how often each is chosen.

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
    /// The other NameNode becomes the active one.
    Failover,
    /// The active NameNode is killed, and the other one becomes active.
    NameNodeKill,
    /// The DataNode is killed, and started again.
    DataNodeKill,
    /// The job's folder in HDFS has no space left, for some seconds.
    FullQuota,
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
            Self::Failover => "NameNode failover",
            Self::NameNodeKill => "NameNode kill -9",
            Self::DataNodeKill => "DataNode kill -9",
            Self::FullQuota => "full quota",
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
    Fault::Failover,
    Fault::Failover,
    Fault::NameNodeKill,
    Fault::NameNodeKill,
    Fault::DataNodeKill,
    Fault::DataNodeKill,
    Fault::DataNodeKill,
    Fault::FullQuota,
    Fault::FullQuota,
    Fault::FullQuota,
    Fault::Zombie,
    Fault::TwoAtOnce,
];

/// One of most kinds, for a run of little more than a minute.
pub const QUICK: &[Fault] = &[
    Fault::Kill,
    Fault::KillAtPlace,
    Fault::KdcShort,
    Fault::BrokerKill,
    Fault::NameNodeKill,
    Fault::Zombie,
    Fault::DataNodeKill,
    Fault::KillAtPlace,
    Fault::FullQuota,
    Fault::BrokerPause,
];

/// The places that the job comes to.
pub(crate) const PLACES: [&str; 16] = [
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
    "unrenamed",
    "renamed",
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
        let of = |seed| chosen(ALL, 40, &mut Chance(seed));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(of(3).len(), 40);
        assert!(ALL.iter().all(|fault| of(4).contains(fault)));
    }
}
