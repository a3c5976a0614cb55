//! Volumes: space on one node that holds the data of one instance and outlives its tasks.

use super::{
    container::DiskKind, instance::InstanceId, node::NodeId, path::AppId, resource::Pools,
};
use crate::{base::clock::Timestamp, message, text_ids, typed_id};

typed_id! {
    /// `<app as a_b>#<container path>#<uuid>`, with the uuid of its instance.
    VolumeId
}

/// One volume. It belongs to one instance from its first launch on, and never to another: who may write
/// there is whoever runs as that instance, on that node, at the latest launch.
#[derive(Clone, PartialEq, Debug)]
pub struct Volume {
    pub id: VolumeId,
    pub app: AppId,
    pub instance: InstanceId,
    /// Where the task sees it, in its sandbox.
    pub path: String,
    pub kind: DiskKind,
    pub size_mb: u64,
    pub node: NodeId,
    /// The disk it holds there, by role, whether its instance runs or not.
    pub held: Pools,
    /// Goes up with each launch: the node refuses one that it has seen a later one of.
    pub epoch: u32,
    pub created_at: Timestamp,
    /// Nobody wants it any more since then: its node is to remove what is in it.
    pub doomed_at: Option<Timestamp>,
}

message!(Volume {
    1: id,
    2: app,
    3: instance,
    4: path,
    5: kind,
    6: size_mb,
    7: node,
    8: held,
    9: epoch = 0,
    10: created_at,
    11: doomed_at,
});
text_ids!(VolumeId: VolumeId::from);

impl VolumeId {
    /// The id of what an instance keeps under `path`.
    pub fn of(app: &AppId, path: &str, instance: &InstanceId) -> Self {
        let id = instance.as_str();
        let unique = id.rsplit_once(".instance-").map_or(id, |(_, uuid)| uuid);
        Self::from(format!("{}#{path}#{unique}", app.safe()))
    }

    /// The last part, which is the instance's.
    pub fn uuid(&self) -> &str {
        self.as_str().rsplit_once('#').map_or("", |(_, uuid)| uuid)
    }
}

impl Volume {
    /// Whether its instance still wants it.
    pub fn is_wanted(&self) -> bool {
        self.doomed_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::wire::sample::{hold, shape};

    #[test]
    fn what_is_written_of_a_volume_stays_readable() {
        hold("volume", &[shape::<Volume>()]);
    }

    #[test]
    fn an_id_names_the_app_the_path_and_the_instance() {
        let app = AppId::parse("/prod/db");
        let id = VolumeId::of(&app, "data", &InstanceId::from("prod_db.instance-7f3c"));
        assert_eq!((id.as_str(), id.uuid()), ("prod_db#data#7f3c", "7f3c"));
    }
}
