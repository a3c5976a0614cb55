//! Users of the node by name, and files as they may read them.

use std::{
    ffi::CString,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    unistd::{Gid, Uid, User, getgrouplist, setfsgid, setfsuid},
};

/// A user of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// Looks `name` (or a number) up among the node's users.
pub fn account(name: &str) -> Result<Account, String> {
    let missing = || format!("No such user '{name}'");
    let found = match name.parse::<u32>() {
        Ok(uid) => User::from_uid(uid.into()),
        Err(_) => User::from_name(name),
    };
    let user = found.map_err(|e| format!("{}: {e}", missing()))?.ok_or_else(missing)?;
    let groups = CString::new(user.name.clone())
        .ok()
        .and_then(|name| getgrouplist(&name, user.gid).ok())
        .unwrap_or_default();
    Ok(Account {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.iter().map(|g| g.as_raw()).filter(|g| *g != user.gid.as_raw()).collect(),
        name: user.name,
    })
}

/// Opens the regular file at `path` with the rights of `account`, not with the agent's own.
pub fn open_as(account: &Account, path: &Path) -> io::Result<File> {
    if !Uid::effective().is_root() || account.uid == 0 {
        return open(path); // nobody to become, or no difference
    }
    let (account, path) = (account.clone(), path.to_owned());
    // Identities of the file system belong to a thread; this one is given up afterwards. The user
    // cannot signal it: that goes by the other identities.
    let thread = std::thread::Builder::new().name("open-as".to_owned()).spawn(move || {
        let groups: Vec<_> = account.groups.iter().map(|g| rustix::fs::Gid::from_raw(*g)).collect();
        rustix::thread::set_thread_groups(&groups)?;
        let (gid, uid) = (Gid::from_raw(account.gid), Uid::from_raw(account.uid));
        setfsgid(gid);
        setfsuid(uid);
        // They do not fail: they answer what was there before.
        if setfsgid(gid) != gid || setfsuid(uid) != uid {
            return Err(io::Error::other("cannot take the user's rights"));
        }
        open(&path)
    })?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("opening the file failed")))
}

/// Opens a regular file for reading.
pub fn open(path: &Path) -> io::Result<File> {
    let root = File::open("/")?;
    let below: PathBuf = path.strip_prefix("/").unwrap_or(path).into();
    // A pipe or a device must not hold us up, nor a descriptor of ours be opened by its number.
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(&root, &below, how)?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_file_is_opened_with_the_rights_of_its_reader() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        fs::write(&path, "x").unwrap();
        let set = |dir: u32, file: u32| {
            fs::set_permissions(temp.path(), fs::Permissions::from_mode(dir)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(file)).unwrap();
        };
        let nobody = Account { name: "n".into(), uid: 65_534, gid: 65_534, groups: vec![] };
        set(0o755, 0o644);
        open_as(&nobody, &path).unwrap();
        if !Uid::effective().is_root() {
            return; // only root can become somebody else
        }
        for (dir, file) in [(0o755, 0o600), (0o755, 0o640), (0o700, 0o644)] {
            set(dir, file);
            let error = open_as(&nobody, &path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{dir:o} {file:o}");
            open(&path).unwrap();
        }
        set(0o755, 0o640);
        let member = Account { groups: vec![0], ..nobody };
        open_as(&member, &path).unwrap();
        assert!(Uid::effective().is_root(), "this thread is who it was");
        fs::write(&path, "still root's").unwrap();
    }

    #[test]
    fn devices_and_descriptors_are_no_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let fd = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        for path in ["/dev/zero", "/etc", &fd] {
            assert!(open(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn users_by_name_and_number() {
        assert_eq!(account("root").unwrap().uid, 0);
        assert_eq!(account("0").unwrap().name, "root");
        assert_eq!(account("no-such-one").unwrap_err(), "No such user 'no-such-one'");
    }
}
