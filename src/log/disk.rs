//! Where a log keeps its data.

use std::{path::PathBuf, sync::Arc};

use super::{
    memory::MemoryDisk,
    store::{Store, StoreError},
};

/// Where a log keeps its data.
#[derive(Clone)]
pub enum Disk {
    /// A directory of its own, made if absent.
    #[cfg(feature = "rocksdb")]
    Dir(PathBuf),
    /// Memory; lost with the process.
    Memory(MemoryDisk),
}

impl Disk {
    /// The lasting store in `dir`; without the `rocksdb` feature, memory.
    pub fn at(dir: PathBuf) -> Self {
        #[cfg(feature = "rocksdb")]
        return Self::Dir(dir);
        #[cfg(not(feature = "rocksdb"))]
        {
            tracing::warn!(?dir, "built without RocksDB: state is kept in memory only");
            Self::Memory(MemoryDisk::default())
        }
    }

    pub(super) async fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            #[cfg(feature = "rocksdb")]
            Self::Dir(dir) => {
                let dir = dir.clone();
                blocking(move || {
                    make_private(&dir)
                        .map_err(|e| StoreError::Failed(format!("{}: {e}", dir.display())))?;
                    super::rocks::RocksStore::open(&dir)
                })
                .await
            }
            Self::Memory(disk) => Ok(disk.open()),
        }
    }

    /// Opens what is there to read it; makes nothing and changes nothing.
    pub(super) async fn open_to_look(&self) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            #[cfg(feature = "rocksdb")]
            Self::Dir(dir) => {
                let dir = dir.clone();
                blocking(move || super::rocks::RocksStore::open_to_look(&dir)).await
            }
            Self::Memory(disk) => Ok(disk.open()),
        }
    }
}

/// Opens a store on a thread that may wait for the disk.
#[cfg(feature = "rocksdb")]
async fn blocking(
    open: impl FnOnce() -> Result<Arc<dyn Store>, StoreError> + Send + 'static,
) -> Result<Arc<dyn Store>, StoreError> {
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(|e| StoreError::Failed(e.to_string()))?
}

/// Makes a directory that only its owner may look into: the state holds secrets and password hashes,
/// and the directories above it are open to tasks of other users.
#[cfg(feature = "rocksdb")]
fn make_private(dir: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(dir)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}
