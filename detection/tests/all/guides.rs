//! milter manager's installation guides say "confirm that they are detected", and disable a milter by its service's own switch.

use millstream_detection::{Detector, Host, Root, detect};
use millstream_tests::guides::{GUIDES, Guide, Installed, Off};
use millstream_tests::tree::Tree;

/// What is found of a milter: whether it is enabled, and where it listens.
fn found(guide: &Guide, tree: &Tree, milter: &Installed) -> Option<(bool, Option<String>)> {
    let detector = match guide.platform {
        "debian" => Detector::Debian,
        "freebsd" => Detector::FreeBsd,
        _ => Detector::RedHat,
    };
    let host = Host { root: Root::new(tree.path()), ..Host::default() };
    let report = detect(detector, &host, milter.name, &mut |_, _| None);
    assert_eq!(report.warnings, [], "{}", guide.system);
    assert!(report.milters.len() <= 1, "{}", guide.system);
    let found = report.milters.into_iter().next()?;
    assert_eq!(found.name, milter.name);
    Some((found.enabled, found.connection_spec))
}

#[test]
fn what_a_guide_installs_is_found() {
    for guide in &GUIDES {
        let tree = Tree::new(guide.files);
        for milter in guide.milters {
            let wanted = Some((true, Some(milter.spec.to_owned())));
            assert_eq!(found(guide, &tree, milter), wanted, "{}: {}", guide.system, milter.name);
        }
    }
}

#[test]
fn what_a_guide_switches_off_is_off_and_the_others_stay() {
    for guide in &GUIDES {
        for switched in guide.milters {
            let tree = Tree::new(guide.files);
            let wanted_off = match switched.off {
                Off::Line { path, on, off } => {
                    tree.change(path, on, off);
                    Some((false, Some(switched.spec.to_owned())))
                }
                Off::Link(path) => {
                    tree.remove(path);
                    None
                }
            };
            for milter in guide.milters {
                let on = Some((true, Some(milter.spec.to_owned())));
                let wanted = if milter.name == switched.name { wanted_off.clone() } else { on };
                let found = found(guide, &tree, milter);
                assert_eq!(found, wanted, "{}: {} without {}", guide.system, milter.name, switched.name);
            }
        }
    }
}
