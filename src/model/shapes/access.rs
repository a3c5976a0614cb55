//! Users, roles, invitations and certificates.

use crate::{
    message,
    model::{
        access::{Quota, QuotaLimit, Role, RoleSettings, User},
        by::{By, Way},
        credential::{Certificate, Invitation, Invited, Joined, Revoked, Serial, Why},
    },
    numbers, text_ids,
};

message!(RoleSettings { 1: role, 2: weight, 3: quota });
message!(Quota { 1: guarantee, 2: limit });
message!(QuotaLimit { 1: cpus, 2: mem, 3: disk, 4: gpus });
message!(User {
    1: uid,
    2: description,
    3: password_hash,
    4: public_key,
    5: provider_type,
    6: provider_id,
    7: is_remote,
    8: superuser,
    9: generation,
});
message!(Invitation { 1: digest, 2: until, 3: used, 4: role });
numbers!(Invited { 1: Agent, 2: PublicAgent, 3: Master });
message!(Joined { 1: key, 2: node });
message!(Certificate { 1: node, 2: serial, 3: issued_at, 4: expires_at, 5: revoked });
message!(Revoked { 1: at, 2: why });
numbers!(Why { 1: Removed, 2: Renewed });
message!(By { 1: uid, 2: way, 3: peer });
numbers!(Way { 1: Page, 2: Cli, 3: Api, 4: Marathon, 5: Mesos, 6: Dcos });

text_ids!(Role: Role::from, Serial: Serial::from);
