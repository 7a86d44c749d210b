//! Increments: how much is written, how much has to be read, and that what is restored is what was.

use proptest::prelude::*;
use std::collections::BTreeMap;
use stygian_checkpoint::{GroupHistory, RebasePolicy, Write, increments};

/// Groups of this many bytes of which a share changes at each checkpoint; what each checkpoint writes, and what a restore reads after it.
fn run(groups: &mut [GroupHistory], policy: &RebasePolicy, dirty: impl Fn(usize, usize) -> u64, checkpoints: usize) -> Vec<(u64, u64)> {
    let size: Vec<u64> = groups.iter().map(|group| group.base.unwrap_or(0)).collect();
    let one = |checkpoint: usize| {
        groups.iter_mut().enumerate().for_each(|(at, group)| group.dirty = dirty(checkpoint, at));
        let mut written = 0;
        let plan = increments::plan(groups, policy);
        for ((group, write), size) in groups.iter_mut().zip(plan).zip(&size) {
            match write {
                Write::Nothing => {}
                Write::Change => {
                    written += group.dirty;
                    group.change_bytes += group.dirty;
                    group.changes += 1;
                }
                Write::Base => {
                    written += size;
                    *group = GroupHistory { base: Some(*size), ..GroupHistory::default() };
                }
            }
        }
        (written, groups.iter().map(|group| group.base.unwrap_or(0) + group.change_bytes).sum())
    };
    (0..checkpoints).map(one).collect()
}

const GIB: u64 = 1 << 30;

#[test]
fn a_checkpoint_of_a_gibibyte_of_which_a_hundredth_changed_writes_less_than_three_hundredths() {
    let size = GIB / 128;
    let mut groups = vec![GroupHistory { base: Some(size), ..GroupHistory::default() }; 128];
    let figures = run(&mut groups, &RebasePolicy::default(), |_, _| size / 100, 1000);
    let most = figures.iter().map(|(written, _)| *written).max().expect("some");
    assert!(most * 100 < 3 * GIB, "{most} bytes");
    let restored = figures.iter().map(|(_, restored)| *restored).max().expect("some");
    assert!(restored < 2 * GIB, "{restored} bytes");
    let changes = groups.iter().map(|group| group.changes).max().expect("some");
    assert!(changes <= 130, "{changes} changes");
}

#[test]
fn a_few_hot_groups_are_rebased_without_the_cold_ones() {
    let mut groups = vec![GroupHistory { base: Some(1000), ..GroupHistory::default() }; 128];
    let figures = run(&mut groups, &RebasePolicy::default(), |_, group| if group < 2 { 300 } else { 0 }, 100);
    assert!(figures.iter().all(|(written, _)| *written <= 2 * 1000 + 600), "{figures:?}");
    assert!(groups[2..].iter().all(|group| *group == GroupHistory { base: Some(1000), ..GroupHistory::default() }));
}

#[test]
fn what_changed_altogether_is_written_whole() {
    let policy = RebasePolicy::default();
    let group = |base, dirty| GroupHistory { base, dirty, ..GroupHistory::default() };
    let groups = [group(None, 5), group(None, 0), group(Some(100), 100), group(Some(100), 20), group(Some(100), 0), group(Some(0), 1)];
    let expected = [Write::Base, Write::Nothing, Write::Base, Write::Change, Write::Nothing, Write::Base];
    assert_eq!(increments::plan(&groups, &policy), expected);
}

#[test]
fn many_small_changes_are_rebased_by_their_number() {
    let mut groups = vec![GroupHistory { base: Some(GIB), ..GroupHistory::default() }; 4];
    run(&mut groups, &RebasePolicy::default(), |_, group| u64::from(group == 0), 101);
    assert!(groups[0].changes < 2, "{groups:?}");
}

proptest! {
    /// No group has a change without a base, a group that changed is written, and a checkpoint keeps to its share but for one group.
    #[test]
    fn plans_keep_to_the_share(
        groups in prop::collection::vec((prop::option::of(0_u64..10_000), 0_u64..20_000, 0_u32..300, 0_u64..5_000), 0..40),
    ) {
        let policy = RebasePolicy::default();
        let of = |(base, change_bytes, changes, dirty): (Option<u64>, u64, u32, u64)| match base {
            Some(base) => GroupHistory { base: Some(base), change_bytes, changes, dirty },
            None => GroupHistory { dirty, ..GroupHistory::default() },
        };
        let groups: Vec<GroupHistory> = groups.into_iter().map(of).collect();
        let plan = increments::plan(&groups, &policy);
        prop_assert_eq!(plan.len(), groups.len());
        let total: u64 = groups.iter().filter_map(|group| group.base).sum();
        let (mut rebased, mut largest) = (0, 0);
        for (group, write) in groups.iter().zip(plan) {
            prop_assert!(!(write == Write::Change && group.base.is_none()));
            prop_assert!(group.dirty == 0 || write != Write::Nothing);
            if let (Write::Base, Some(base)) = (write, group.base) && group.dirty < base {
                rebased += base;
                largest = largest.max(base);
            }
        }
        prop_assert!(rebased as f64 <= largest as f64 + total as f64 * policy.share);
    }
}

#[test]
fn histories_come_from_the_sections_of_the_last_manifest() {
    use crate::common::*;
    use stygian_checkpoint::Part;
    let file =
        state_file(&memory(), 1, 1, &[(0, Part::Base, b"1234"), (0, Part::Change, b"12"), (0, Part::Change, b"1"), (3, Part::Base, b"")]);
    let sections: Vec<_> = file.sections.into_iter().map(|(_, section)| section).collect();
    let histories: BTreeMap<u16, GroupHistory> = GroupHistory::of(&sections).into_iter().map(|((_, group), h)| (group.0, h)).collect();
    let expected = [
        (0, GroupHistory { base: Some(4), change_bytes: 3, changes: 2, dirty: 0 }),
        (3, GroupHistory { base: Some(0), ..GroupHistory::default() }),
    ];
    assert_eq!(histories, BTreeMap::from(expected));
}
