//! Reconcilers of the leader: read one snapshot, propose commands, hold nothing.
