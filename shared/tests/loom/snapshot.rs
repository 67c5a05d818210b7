//! What is replaced while others use it: the policy at a reload.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use millstream_shared::Snapshot;

/// A policy, with a mark that outlives it.
struct Policy {
    version: u32,
    freed: Arc<AtomicBool>,
}

impl Policy {
    fn new(version: u32) -> (Arc<Self>, Arc<AtomicBool>) {
        let freed = Arc::new(AtomicBool::new(false));
        (Arc::new(Self { version, freed: Arc::clone(&freed) }), freed)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        self.freed.store(true, Ordering::SeqCst);
    }
}

#[test]
fn who_begins_after_a_reload_follows_the_new_policy_and_the_old_one_ends_with_its_last_session() {
    loom::model(|| {
        let (old, old_is_freed) = Policy::new(1);
        let (new, new_is_freed) = Policy::new(2);
        let policy = Arc::new(Snapshot::new(old));
        let reloaded = Arc::new(AtomicBool::new(false));
        let session = thread::spawn({
            let (policy, reloaded) = (Arc::clone(&policy), Arc::clone(&reloaded));
            let old_is_freed = Arc::clone(&old_is_freed);
            move || {
                let after = reloaded.load(Ordering::SeqCst);
                let mine = policy.current();
                assert!(mine.version == 2 || !after, "the old policy after the reload");
                assert!(
                    mine.version == 2 || !old_is_freed.load(Ordering::SeqCst),
                    "freed while it is followed"
                );
            }
        });
        policy.replace(new);
        reloaded.store(true, Ordering::SeqCst);
        assert_eq!(policy.current().version, 2);
        session.join().unwrap();
        assert!(old_is_freed.load(Ordering::SeqCst), "kept for ever");
        assert!(!new_is_freed.load(Ordering::SeqCst));
    });
}

#[test]
fn one_of_two_reloads_holds_and_the_others_are_freed() {
    loom::model(|| {
        let (policies, freed): (Vec<_>, Vec<_>) = (1..=3).map(Policy::new).unzip();
        let mut policies = policies.into_iter();
        let policy = Arc::new(Snapshot::new(policies.next().unwrap()));
        let reload = |policy: Arc<Snapshot<Policy>>, new| move || policy.replace(new);
        let other = thread::spawn(reload(Arc::clone(&policy), policies.next().unwrap()));
        reload(Arc::clone(&policy), policies.next().unwrap())();
        other.join().unwrap();
        let version = policy.current().version;
        assert!(version == 2 || version == 3);
        let left: Vec<u32> =
            (1..).zip(&freed).filter(|(_, freed)| !freed.load(Ordering::SeqCst)).map(|(n, _)| n).collect();
        assert_eq!(left, [version]);
    });
}
