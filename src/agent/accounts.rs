//! Users of the node by name.

use std::ffi::CString;

use nix::unistd::{User, getgrouplist};

use super::launch::Account;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_by_name_and_number() {
        assert_eq!(account("root").unwrap().uid, 0);
        assert_eq!(account("0").unwrap().name, "root");
        assert_eq!(account("no-such-one").unwrap_err(), "No such user 'no-such-one'");
    }
}
