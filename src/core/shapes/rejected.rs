//! A refusal as it is stored and sent: flat, a number for each that the first releases had, and one
//! variant for all others.

use crate::{
    base::wire::{Message as _, WireError, put_message},
    choice,
    core::refusal::{Rejected as Refusal, Subject, Thing},
    model::{
        access::Role,
        deployment::DeploymentId,
        instance::InstanceId,
        node::NodeId,
        path::{AppId, GroupId, PathId},
    },
    numbers, required_value,
};

/// What stands in a row. `Other` is for what has no number of its own. Releases before it cannot
/// read it: it may only come from what waits for a later level (`base::level`), as the commands of a
/// new kind of entity do. Nothing does today.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Rejected {
    AlreadyInitialised,
    NoSuchApp(AppId),
    AppExists(AppId),
    PathTaken(PathId),
    NoSuchGroup(GroupId),
    Stale { app: AppId },
    Locked { apps: Vec<AppId>, deployments: Vec<DeploymentId> },
    TooManyDeployments(u32),
    CyclicDependencies(Vec<AppId>),
    ServicePortsExhausted { from: u16, to: u16 },
    NoSuchDeployment(DeploymentId),
    StaleStep,
    NoSuchInstance(InstanceId),
    NoSuchNode(NodeId),
    NodeBusy(NodeId),
    NotInvited,
    BadCertificate(String),
    NothingWaiting(AppId),
    UserExists(String),
    NoSuchUser(String),
    LastUser(String),
    NoSuchRole(Role),
    Invalid { field: String, problem: String },
    HeldBack { to: u32, by: Vec<String> },
    TooOld { who: String, level: u32, wanted: u32 },
    Other { kind: Kind, of: Thing, id: String, why: String, from: u16, to: u32 },
}

choice!(Rejected {
    1: AlreadyInitialised,
    2: NoSuchApp(it),
    3: AppExists(it),
    4: PathTaken(it),
    5: NoSuchGroup(it),
    6: Stale { 1: app },
    7: Locked { 1: apps, 2: deployments },
    8: TooManyDeployments(it),
    9: CyclicDependencies[list],
    10: ServicePortsExhausted { 1: from, 2: to },
    11: NoSuchDeployment(it),
    12: StaleStep,
    13: NoSuchInstance(it),
    14: NoSuchNode(it),
    15: NodeBusy(it),
    16: NotInvited,
    17: BadCertificate(it),
    18: NothingWaiting(it),
    19: UserExists(it),
    20: NoSuchUser(it),
    21: LastUser(it),
    22: NoSuchRole(it),
    23: Invalid { 1: field, 2: problem },
    24: HeldBack { 1: to, 2: by },
    25: TooOld { 1: who, 2: level, 3: wanted },
    26: Other { 1: kind, 2: of, 3: id, 4: why, 5: from, 6: to },
});

/// The kinds that can be about a thing that has no number above.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    NotFound,
    Exists,
    Taken,
    Stale,
    Busy,
    Last,
    TooMany,
    Exhausted,
    Denied,
}

numbers!(Kind {
    1: NotFound,
    2: Exists,
    3: Taken,
    4: Stale,
    5: Busy,
    6: Last,
    7: TooMany,
    8: Exhausted,
    9: Denied,
});

required_value!(
    Refusal,
    |refusal, number, out| put_message(number, &Rejected::from(refusal), out),
    |field| Rejected::read(field.bytes(Rejected::NAME)?)?.try_into()
);

impl From<&Refusal> for Rejected {
    fn from(refusal: &Refusal) -> Self {
        match refusal.clone() {
            Refusal::NotFound(it) => not_found(it),
            Refusal::Exists(Subject { of, id }) => match of {
                Thing::App => Self::AppExists(PathId::parse(&id)),
                Thing::User => Self::UserExists(id),
                Thing::Cluster if id.is_empty() => Self::AlreadyInitialised,
                _ => other(Kind::Exists, Subject { of, id }),
            },
            Refusal::Taken(Subject { of: Thing::Path, id }) => Self::PathTaken(PathId::parse(&id)),
            Refusal::Taken(it) => other(Kind::Taken, it),
            Refusal::Stale(Subject { of, id }) => match of {
                Thing::App => Self::Stale { app: PathId::parse(&id) },
                Thing::Step if id.is_empty() => Self::StaleStep,
                _ => other(Kind::Stale, Subject { of, id }),
            },
            Refusal::Locked { apps, deployments } => Self::Locked { apps, deployments },
            Refusal::Busy(Subject { of: Thing::Node, id }) => Self::NodeBusy(id.into()),
            Refusal::Busy(it) => other(Kind::Busy, it),
            Refusal::Last(Subject { of: Thing::User, id }) => Self::LastUser(id),
            Refusal::Last(it) => other(Kind::Last, it),
            Refusal::TooMany { of: Thing::Deployment, max } => Self::TooManyDeployments(max),
            Refusal::TooMany { of, max } => ranged(Kind::TooMany, of, 0, max),
            Refusal::Exhausted { of: Thing::ServicePort, from, to } => {
                Self::ServicePortsExhausted { from, to }
            }
            Refusal::Exhausted { of, from, to } => ranged(Kind::Exhausted, of, from, to.into()),
            Refusal::Cycle(apps) => Self::CyclicDependencies(apps),
            Refusal::Invalid { field, problem } => Self::Invalid { field, problem },
            Refusal::Denied { by: Thing::Certificate, why } => Self::BadCertificate(why),
            Refusal::HeldBack { to, by } => Self::HeldBack { to, by },
            Refusal::TooOld { who, level, wanted } => Self::TooOld { who, level, wanted },
            denied if denied == Refusal::not_invited() => Self::NotInvited,
            Refusal::Denied { by: of, why } => {
                Self::Other { kind: Kind::Denied, of, id: String::new(), why, from: 0, to: 0 }
            }
        }
    }
}

fn not_found(Subject { of, id }: Subject) -> Rejected {
    match of {
        Thing::App => Rejected::NoSuchApp(PathId::parse(&id)),
        Thing::Group => Rejected::NoSuchGroup(PathId::parse(&id)),
        Thing::Deployment => Rejected::NoSuchDeployment(id.into()),
        Thing::Instance => Rejected::NoSuchInstance(id.into()),
        Thing::Node => Rejected::NoSuchNode(id.into()),
        Thing::Queue => Rejected::NothingWaiting(PathId::parse(&id)),
        Thing::User => Rejected::NoSuchUser(id),
        Thing::Role => Rejected::NoSuchRole(id.into()),
        _ => other(Kind::NotFound, Subject { of, id }),
    }
}

fn other(kind: Kind, Subject { of, id }: Subject) -> Rejected {
    Rejected::Other { kind, of, id, why: String::new(), from: 0, to: 0 }
}

fn ranged(kind: Kind, of: Thing, from: u16, to: u32) -> Rejected {
    Rejected::Other { kind, of, id: String::new(), why: String::new(), from, to }
}

impl TryFrom<Rejected> for Refusal {
    type Error = WireError;

    fn try_from(row: Rejected) -> Result<Self, WireError> {
        Ok(match row {
            Rejected::AlreadyInitialised => Self::Exists(Thing::Cluster.itself()),
            Rejected::NoSuchApp(id) => Self::NotFound(Thing::App.named(id)),
            Rejected::AppExists(id) => Self::Exists(Thing::App.named(id)),
            Rejected::PathTaken(id) => Self::Taken(Thing::Path.named(id)),
            Rejected::NoSuchGroup(id) => Self::NotFound(Thing::Group.named(id)),
            Rejected::Stale { app } => Self::Stale(Thing::App.named(app)),
            Rejected::Locked { apps, deployments } => Self::Locked { apps, deployments },
            Rejected::TooManyDeployments(max) => Self::TooMany { of: Thing::Deployment, max },
            Rejected::CyclicDependencies(apps) => Self::Cycle(apps),
            Rejected::ServicePortsExhausted { from, to } => {
                Self::Exhausted { of: Thing::ServicePort, from, to }
            }
            Rejected::NoSuchDeployment(id) => Self::NotFound(Thing::Deployment.named(id)),
            Rejected::StaleStep => Self::Stale(Thing::Step.itself()),
            Rejected::NoSuchInstance(id) => Self::NotFound(Thing::Instance.named(id)),
            Rejected::NoSuchNode(id) => Self::NotFound(Thing::Node.named(id)),
            Rejected::NodeBusy(id) => Self::Busy(Thing::Node.named(id)),
            Rejected::NotInvited => Self::not_invited(),
            Rejected::BadCertificate(why) => Self::bad_certificate(why),
            Rejected::NothingWaiting(id) => Self::NotFound(Thing::Queue.named(id)),
            Rejected::UserExists(id) => Self::Exists(Thing::User.named(id)),
            Rejected::NoSuchUser(id) => Self::NotFound(Thing::User.named(id)),
            Rejected::LastUser(id) => Self::Last(Thing::User.named(id)),
            Rejected::NoSuchRole(id) => Self::NotFound(Thing::Role.named(id)),
            Rejected::Invalid { field, problem } => Self::Invalid { field, problem },
            Rejected::HeldBack { to, by } => Self::HeldBack { to, by },
            Rejected::TooOld { who, level, wanted } => Self::TooOld { who, level, wanted },
            Rejected::Other { kind, of, id, why, from, to } => match kind {
                Kind::NotFound => Self::NotFound(Subject { of, id }),
                Kind::Exists => Self::Exists(Subject { of, id }),
                Kind::Taken => Self::Taken(Subject { of, id }),
                Kind::Stale => Self::Stale(Subject { of, id }),
                Kind::Busy => Self::Busy(Subject { of, id }),
                Kind::Last => Self::Last(Subject { of, id }),
                Kind::TooMany => Self::TooMany { of, max: to },
                Kind::Exhausted => Self::Exhausted { of, from, to: port(to)? },
                Kind::Denied => Self::Denied { by: of, why },
            },
        })
    }
}

fn port(number: u32) -> Result<u16, WireError> {
    u16::try_from(number)
        .map_err(|error| WireError::Invalid { of: Rejected::NAME, problem: error.to_string() })
}

/// The number of the variant a refusal is written as.
#[cfg(test)]
pub fn number(refusal: &Refusal) -> u32 {
    let bytes = crate::base::wire::encode(&Rejected::from(refusal));
    prost::encoding::decode_key(&mut &bytes[..]).unwrap().0
}

/// The number of all that has none of its own.
#[cfg(test)]
pub const OTHER: u32 = 26;

#[cfg(test)]
mod sample {
    use super::{Refusal, Rejected};
    use crate::base::{rng::Rng, wire::sample::Sample};

    impl Sample for Refusal {
        fn sample(rng: &mut Rng) -> Self {
            loop {
                // What has a number of its own is not made as another.
                let row = Rejected::sample(rng);
                let refusal = Self::try_from(row.clone()).ok();
                if let Some(refusal) = refusal.filter(|refusal| Rejected::from(refusal) == row) {
                    return refusal;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, OTHER, Refusal, Rejected, Thing, number};
    use crate::{
        base::wire::{decode_one, encode_one},
        model::path::PathId,
    };

    /// Every refusal there was when they were listed one by one: its number and its text.
    fn of_the_first_releases() -> Vec<(Refusal, u32, &'static str)> {
        use Refusal as R;
        let (apps, deployments) = (vec![PathId::parse("/a")], vec!["d".into()]);
        let by = vec!["master 1 (tepui 0.1.0)".to_owned(), "node n".to_owned()];
        let certificate = R::bad_certificate("certificate 7 has expired".to_owned());
        let held = "level 3 is held back by master 1 (tepui 0.1.0), node n: upgrade them first";
        let old = "node n can do level 1, this cluster is at level 2: upgrade tepui there";
        let token = "the token is not known, was used already or is too old; \
                     make another with `tepui node invite`";
        let taken = "/a is the path of a group, an app or a pod already";
        let last = "user u is the last one who can sign in; make another first";
        let port = Thing::ServicePort;
        vec![
            (R::Exists(Thing::Cluster.itself()), 1, "the cluster is already initialised"),
            (R::NotFound(Thing::App.named("/a")), 2, "app /a does not exist"),
            (R::Exists(Thing::App.named("/a")), 3, "app /a already exists"),
            (R::Taken(Thing::Path.named("/a")), 4, taken),
            (R::NotFound(Thing::Group.named("/a")), 5, "group /a does not exist"),
            (R::Stale(Thing::App.named("/a")), 6, "/a was changed meanwhile; read it again"),
            (
                R::Locked { apps: apps.clone(), deployments },
                7,
                "[/a] locked by running deployments",
            ),
            (
                R::TooMany { of: Thing::Deployment, max: 100 },
                8,
                "100 deployments are running, the maximum",
            ),
            (R::Cycle(apps), 9, "dependencies form a cycle: [/a]"),
            (
                R::Exhausted { of: port, from: 1, to: 2 },
                10,
                "no service port is left between 1 and 2",
            ),
            (R::NotFound(Thing::Deployment.named("d")), 11, "deployment d does not exist"),
            (R::Stale(Thing::Step.itself()), 12, "the deployment is not in that step any more"),
            (R::NotFound(Thing::Instance.named("i")), 13, "instance i does not exist"),
            (R::NotFound(Thing::Node.named("n")), 14, "node n does not exist"),
            (R::Busy(Thing::Node.named("n")), 15, "node n still runs tasks"),
            (R::not_invited(), 16, token),
            (certificate, 17, "certificate 7 has expired"),
            (R::NotFound(Thing::Queue.named("/a")), 18, "nothing of /a is waiting to be launched"),
            (R::Exists(Thing::User.named("u")), 19, "user u already exists"),
            (R::NotFound(Thing::User.named("u")), 20, "user u does not exist"),
            (R::Last(Thing::User.named("u")), 21, last),
            (R::NotFound(Thing::Role.named("r")), 22, "role r has no settings"),
            (R::invalid("/x", "bad"), 23, "/x: bad"),
            (R::HeldBack { to: 3, by }, 24, held),
            (R::TooOld { who: "node n".to_owned(), level: 1, wanted: 2 }, 25, old),
        ]
    }

    #[test]
    fn what_had_a_number_keeps_it_and_its_text() {
        let cases = of_the_first_releases();
        assert_eq!(
            cases.iter().map(|case| case.1).collect::<Vec<_>>(),
            (1..=25).collect::<Vec<_>>()
        );
        for (refusal, wanted, text) in cases {
            assert_eq!(number(&refusal), wanted, "{refusal:?}");
            assert_eq!(refusal.to_string(), text);
            assert_eq!(decode_one("refusal", &encode_one(&refusal)), Ok(refusal));
        }
    }

    #[test]
    fn any_kind_can_be_about_anything() {
        use Refusal as R;
        let why = "not yours".to_owned();
        let cases = [
            (R::NotFound(Thing::Certificate.named("7")), "certificate 7 does not exist"),
            (R::Exists(Thing::Group.named("/g")), "group /g already exists"),
            (R::Exists(Thing::Cluster.named("c")), "cluster c is already initialised"),
            (R::Busy(Thing::User.named("u")), "user u is in use"),
            (R::Last(Thing::Node.named("n")), "node n is the last one; make another first"),
            (R::Stale(Thing::Step.named("4")), "the deployment is not in that step any more"),
            (R::TooMany { of: Thing::User, max: 9 }, "9 users are there, the maximum"),
            (R::Exhausted { of: Thing::Node, from: 1, to: 9 }, "no node is left between 1 and 9"),
            (R::Denied { by: Thing::User, why }, "not yours"),
            (R::Taken(Thing::User.named("u")), "u is taken"),
        ];
        for (refusal, text) in cases {
            assert_eq!(number(&refusal), OTHER, "{refusal:?}");
            assert_eq!(refusal.to_string(), text);
            assert_eq!(decode_one("refusal", &encode_one(&refusal)), Ok(refusal));
        }
    }

    #[test]
    fn a_number_that_is_no_port_is_an_error() {
        let (kind, of) = (Kind::Exhausted, Thing::Node);
        let (id, why) = (String::new(), String::new());
        let row = Rejected::Other { kind, of, id, why, from: 1, to: 70_000 };
        let refused = Refusal::try_from(row).unwrap_err().to_string();
        assert!(refused.contains("out of range"), "{refused}");
    }
}
