//! Who may come in, how long what was given holds, and who owns a name.

use super::world::{World, app, edit, put};
use crate::{
    core::{
        AccessCommand, Rejected, WorkloadCommand,
        command::{Edit, Expect},
    },
    model::{access::User, path::PathId, workload::WorkloadSpec},
};

fn user(uid: &str, hash: Option<&str>) -> User {
    User {
        uid: uid.to_owned(),
        description: String::new(),
        password_hash: hash.map(str::to_owned),
        public_key: None,
        provider_type: "internal".to_owned(),
        provider_id: String::new(),
        is_remote: false,
        superuser: true,
        generation: 99_999,
    }
}

#[test]
fn tokens_end_with_what_their_user_signs_in_with() {
    let mut w = World::new(0);
    let put = |user: User| AccessCommand::PutUser { user, expect: Expect::Any };
    let generation = |w: &World, uid: &str| w.state.users[uid].generation;
    w.ok(put(user("ann", Some("one"))));
    w.ok(put(user("bob", Some("one"))));
    let (ann, bob) = (generation(&w, "ann"), generation(&w, "bob"));
    assert_ne!(ann, bob);
    assert_ne!(ann, 99_999, "the state counts, not the command");
    w.ok(put(User { description: "other words".to_owned(), ..user("ann", Some("one")) }));
    assert_eq!(generation(&w, "ann"), ann);
    w.ok(put(user("ann", Some("two"))));
    let second = generation(&w, "ann");
    assert!(second > ann);
    w.ok(AccessCommand::RevokeTokens(Some("ann".to_owned())));
    let third = generation(&w, "ann");
    assert!(third > second);
    assert_eq!(generation(&w, "bob"), bob);
    w.ok(AccessCommand::DeleteUser("ann".to_owned()));
    w.ok(put(user("ann", Some("two"))));
    assert!(generation(&w, "ann") > third, "another user of the same name");
    w.ok(AccessCommand::RotateSecret([9; 32]));
    assert_eq!(w.state.cluster.as_ref().expect("cluster").secret, [9; 32]);
    assert!(generation(&w, "bob") > bob);
    let nobody = w.rejected(AccessCommand::RevokeTokens(Some("nobody".to_owned())));
    assert!(matches!(nobody, Rejected::NotFound(_)), "{nobody}");
}

#[test]
fn the_last_one_who_can_sign_in_stays() {
    let mut w = World::new(0);
    let put = |user: User| AccessCommand::PutUser { user, expect: Expect::Any };
    w.ok(put(user("admin", Some("one"))));
    w.ok(put(user("ann@example.org", None)));
    let last = w.rejected(AccessCommand::DeleteUser("admin".to_owned()));
    assert_eq!(last.to_string(), "user admin is the last one who can sign in; make another first");
    w.ok(put(user("bob", Some("one"))));
    w.ok(AccessCommand::DeleteUser("admin".to_owned()));
    w.ok(AccessCommand::DeleteUser("ann@example.org".to_owned()));
    w.rejected(AccessCommand::DeleteUser("bob".to_owned()));
}

#[test]
fn a_service_name_has_one_app() {
    let mut w = World::new(1);
    let named = |id: &str, name: &str| {
        let mut spec = app(id, 1);
        for (label, value) in [
            ("DCOS_SERVICE_NAME", name),
            ("DCOS_SERVICE_SCHEME", "http"),
            ("DCOS_SERVICE_PORT_INDEX", "0"),
        ] {
            spec.run_mut().labels.insert(label.to_owned(), value.to_owned());
        }
        spec
    };
    w.put(named("/first", "web"));
    w.settle();
    let edit_of = |spec: WorkloadSpec| edit(&spec.id.clone(), Some(spec));
    let mut refused = |edits: Vec<Edit>| {
        let id = w.id();
        w.rejected(WorkloadCommand::PutApps(Box::new(put(&id, edits)))).to_string()
    };
    let text =
        "labels: /thief cannot be the service \"web\" (DCOS_SERVICE_NAME): /first is it already";
    assert_eq!(refused(vec![edit_of(named("/thief", "/web/"))]), text);
    let both = vec![edit_of(named("/x", "new")), edit_of(named("/y", "new"))];
    assert!(refused(both).contains("\"new\""));
    // Its own name is no obstacle, and one given up is free, in one step too.
    w.put(WorkloadSpec { instances: 2, ..named("/first", "web") });
    w.settle();
    w.deploy(vec![edit_of(named("/first", "old")), edit_of(named("/second", "web"))]);
    w.settle();
    w.deploy(vec![edit(&PathId::parse("/second"), None)]);
    w.settle();
    w.put(named("/third", "web"));
}
