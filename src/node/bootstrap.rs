//! The first start of a cluster: its identity and its first login.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::Context as _;

use crate::{
    base::rng::Rng,
    core::{ClusterCommand, Rejected, State, command::Init},
    http::auth::Passwords,
    log::Log,
    model::access::User,
};

/// Name of the first user.
pub const ADMIN: &str = "admin";
/// File in the data directory that holds the first user's password until it is changed.
pub const PASSWORD_FILE: &str = "initial-password";

/// Makes the cluster when this log has none yet, and tells the first user's password when it did.
/// Several masters may try; one wins.
///
/// # Errors
/// When the log takes no commands or the data directory cannot be written.
pub async fn init(
    log: &Log<State>,
    name: &str,
    data_dir: &Path,
    passwords: &Passwords,
    rng: &mut Rng,
) -> anyhow::Result<Option<String>> {
    if log.state().cluster.is_some() {
        return Ok(None);
    }
    let password = rng.hex(16);
    let hash = passwords.hash(password.clone(), rng).await.context("hashing a password")?;
    let mut secret = [0; 32];
    rng.fill(&mut secret);
    let admin = User {
        uid: ADMIN.to_owned(),
        description: "first superuser".to_owned(),
        password_hash: Some(hash),
        public_key: None,
        provider_type: "internal".to_owned(),
        provider_id: String::new(),
        is_remote: false,
        superuser: true,
        generation: 0,
    };
    // Written first: a password that nobody can read any more would be worse than a file too many.
    write_private(&data_dir.join(PASSWORD_FILE), format!("{password}\n"))?;
    let init = Init {
        cluster: rng.uuid().to_string(),
        name: name.to_owned(),
        secret,
        users: vec![admin],
        level: crate::base::level::LEVEL,
    };
    match log.propose(ClusterCommand::Init(init).into()).await.context("making the cluster")? {
        Ok(_) => Ok(Some(password)),
        Err(Rejected::Exists(_)) => {
            fs::remove_file(data_dir.join(PASSWORD_FILE)).context("removing an unused password")?;
            Ok(None)
        }
        Err(rejected) => Err(rejected).context("making the cluster"),
    }
}

/// Replaces a file as a whole; only its owner may read it.
///
/// # Errors
/// When the directory cannot be written.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let new = path.with_extension("new");
    let context = || format!("writing {}", path.display());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .with_context(context)?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).with_context(context)?;
    file.write_all(content.as_ref()).with_context(context)?;
    file.sync_all().with_context(context)?;
    fs::rename(&new, path).with_context(context)
}
