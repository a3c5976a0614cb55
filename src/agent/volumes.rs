//! Volumes on this node: directories that outlive every sandbox, whose they are, and how full.
//!
//! ```text
//! <data>/volumes/<instance>/<container path>/    what is in it is the task's
//! <data>/volumes/<instance>.owner                ours: the latest launch that was let in
//! ```
//! A launch that is older than the latest one is refused, whoever orders it: there is one writer at a time.

use std::{fs, io, io::Write as _, os::unix::fs::MetadataExt as _, path::Path};

use super::sandbox::{
    Sandboxes,
    beneath::{Dir, bytes_below},
    volume_path,
};
use crate::{
    base::wire::{self, Message as _},
    message,
    model::{
        AppId, InstanceId, VolumeId,
        link::{Order, VolumeUsage},
    },
};

/// Version of the format, the first byte of a file.
const VERSION: u8 = 1;
/// End of the name of an owner file.
pub const OWNER: &str = ".owner";
/// An owner file is small; what is larger is none.
const OWNER_BYTES_MAX: u64 = 1 << 20;
/// Entries of one volume that are measured; one with more counts as what these take.
const MEASURED_MAX: usize = 200_000;
/// Directories held open while one is measured.
const OPEN_DIRS_MAX: usize = 512;
/// More volumes of one instance are not measured.
const PER_INSTANCE_MAX: usize = 64;

/// Whose the volumes of a directory are, and who was let in last.
#[derive(Clone, Debug, PartialEq)]
struct Owner {
    instance: InstanceId,
    app: AppId,
    epoch: u32,
    volumes: Vec<VolumeId>,
}

message!(Owner { 1: instance, 2: app, 3: epoch, 4: volumes });

/// Why a launch does not get its volumes.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("launch {seen} of this instance has had its volumes, this is launch {ordered}")]
    Stale { ordered: u32, seen: u32 },
    #[error("what is known of its volumes cannot be read: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Lets a launch have the volumes of its order, unless a later one had them. Safe on the disk before the
/// launch begins.
pub fn claim(sandboxes: &Sandboxes, order: &Order) -> Result<(), Refused> {
    let Some(ordered) = order.volumes.iter().map(|volume| volume.epoch).max() else {
        return Ok(());
    };
    let root = sandboxes.make_volumes_root()?;
    let name = format!("{}{OWNER}", order.instance);
    let seen = match root.read(Path::new(&name), OWNER_BYTES_MAX) {
        Ok(bytes) => parse(&bytes).map_err(Refused::Unreadable)?.epoch,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    };
    if seen > ordered {
        return Err(Refused::Stale { ordered, seen });
    }
    let owner = Owner {
        instance: order.instance.clone(),
        app: order.spec.id.clone(),
        epoch: ordered,
        volumes: order.volumes.iter().map(|volume| volume.id.clone()).collect(),
    };
    let fresh = format!("{name}.new");
    let mut file = root.create(Path::new(&fresh), 0o600, None)?;
    file.write_all(&wire::encode_versioned(VERSION, &owner))?;
    file.sync_all()?;
    root.rename(&fresh, &name)?;
    Ok(root.sync()?)
}

fn parse(bytes: &[u8]) -> Result<Owner, String> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Owner::read(rest).map_err(|error| error.to_string()),
        Some((version, _)) => {
            Err(format!("it is of version {version}, this agent reads {VERSION}"))
        }
        None => Err("it is empty".to_owned()),
    }
}

/// Removes what an instance kept; nothing is left to remove a second time. No link in it is followed.
pub fn wipe(sandboxes: &Sandboxes, instance: &InstanceId) -> io::Result<()> {
    let name = instance.as_str();
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    remove(sandboxes.volumes_root(), name)
}

/// Removes a directory of volumes below `root`, and whose they were.
pub fn remove(root: &Path, name: &str) -> io::Result<()> {
    let missing_is_fine = |outcome: io::Result<()>| match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    missing_is_fine(fs::remove_dir_all(root.join(name)))?;
    // Who was let in is known until nothing is left to be let in to.
    missing_is_fine(fs::remove_file(root.join(format!("{name}{OWNER}"))))
}

/// What the volumes of an instance take on the disk, each under the name of its directory.
pub fn measure(sandboxes: &Sandboxes, instance: &InstanceId) -> Vec<VolumeUsage> {
    let Ok(all) = Dir::open(&sandboxes.volumes_root().join(instance.as_str())) else {
        return Vec::new();
    };
    let names = all.names(PER_INSTANCE_MAX).unwrap_or_default();
    let usage = |name: std::ffi::OsString| {
        let dir = all.dir(Path::new(&name)).ok()?;
        let bytes = bytes_below(vec![dir], MEASURED_MAX, OPEN_DIRS_MAX, |meta| meta.blocks() * 512);
        let path = volume_path(&name.into_string().ok()?);
        Some(VolumeUsage { instance: instance.clone(), path, bytes })
    };
    names.into_iter().filter_map(usage).collect()
}

#[cfg(test)]
mod tests;
