//! What `stygian doctor` finds.

use crate::Case;
use crate::golden::{compare, error_text};
use crate::world::World;
use anyhow::{Result, ensure};
use std::fmt::Write;
use stygian_hdfs::Hdfs;

pub(crate) const CASES: &[Case] = &[
    ("doctor_finds_nothing_wrong_and_leaves_nothing", |world| {
        let folder = world.folder("doctor")?;
        compare(world, "doctor_well", &checked(&world.hdfs(), &folder))?;
        compare(world, "doctor_well_new_folder", &checked(&world.hdfs(), &format!("{folder}/not/yet")))?;
        left_nothing(world, &folder)
    }),
    ("doctor_stops_at_a_folder_that_is_not_ours", |world| {
        world.cluster.hdfs_make_folder("/user/doctor", "stranger")?;
        compare(world, "doctor_not_allowed", &checked(&world.hdfs(), "/user/doctor/out"))?;
        left_nothing(world, "/user/doctor")
    }),
    ("doctor_stops_at_a_file_in_the_way", |world| {
        let folder = world.folder("doctor-file")?;
        world.cluster.hdfs_write(&format!("{folder}/file"), b"x", "pipeline")?;
        compare(world, "doctor_file", &checked(&world.hdfs(), &format!("{folder}/file/out")))
    }),
    ("doctor_removes_its_file_when_the_rest_fails", |world| {
        let folder = world.folder("doctor-quota")?;
        world.cluster.hdfs_quota(&folder, None, Some(1 << 20))?;
        let told = checked(&world.hdfs(), &folder);
        ensure!(told.contains("the quota of space is used up"), "{told}");
        left_nothing(world, &folder)
    }),
];

/// What the steps tell, to the first that fails.
pub(crate) fn checked(hdfs: &Hdfs, folder: &str) -> String {
    let mut told = String::new();
    for probe in hdfs.probes(folder) {
        let outcome = (probe.run)();
        let text = match &outcome {
            Ok(found) => format!("{found}\n"),
            Err(error) => error_text(error),
        };
        let _ = write!(told, "{}: {text}", probe.name);
        if outcome.is_err() {
            break;
        }
    }
    told
}

fn left_nothing(world: &World, folder: &str) -> Result<()> {
    let left = world.cluster.hdfs_list(folder)?;
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}
