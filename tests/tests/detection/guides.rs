//! milter manager's installation guides: "confirm with `--show-config` that spamass-milter, clamav-milter and milter-greylist are
//! detected", and disable one by its service's own switch.

use std::fs;
use std::path::PathBuf;

use millstream_tests::guides::{GUIDES, Guide, Installed, Off};
use millstream_tests::scratch::Scratch;
use millstream_tests::tree::Tree;

use crate::shown::{Shown, milters, plain};

/// A configuration that finds what is installed.
fn configuration(scratch: &Scratch) -> PathBuf {
    let folder = scratch.join("etc");
    fs::create_dir_all(&folder).unwrap();
    let text = "load(\"applicable-conditions/*.conf\")\nload_default\nload_if_exist(\"milter-manager.local.conf\")\n";
    fs::write(folder.join("milter-manager.conf"), text).unwrap();
    folder
}

fn found(scratch: &Scratch, tree: &Tree) -> Vec<Shown> {
    let root = tree.path().to_str().unwrap();
    milters(plain(), &configuration(scratch), &["--root", root])
}

fn on(milter: &Installed) -> Shown {
    Shown {
        name: milter.name.to_owned(),
        enabled: true,
        spec: Some(milter.spec.to_owned()),
        conditions: milter.conditions.iter().map(|&condition| condition.to_owned()).collect(),
    }
}

fn installs(guide: &Guide) {
    let scratch = Scratch::new("guide");
    let tree = Tree::new(guide.files);
    let wanted: Vec<_> = guide.milters.iter().map(on).collect();
    assert_eq!(found(&scratch, &tree), wanted, "{}", guide.system);
}

fn switches_off(guide: &Guide) {
    let scratch = Scratch::new("guide");
    for switched in guide.milters {
        let tree = Tree::new(guide.files);
        let is_defined = match switched.off {
            Off::Line { path, on, off } => {
                tree.change(path, on, off);
                true
            }
            Off::Link(path) => {
                tree.remove(path);
                false
            }
        };
        let mut wanted: Vec<_> = guide.milters.iter().map(on).collect();
        wanted.retain(|milter| is_defined || milter.name != switched.name);
        for milter in &mut wanted {
            milter.enabled = milter.name != switched.name;
        }
        assert_eq!(found(&scratch, &tree), wanted, "{} without {}", guide.system, switched.name);
    }
}

#[test]
fn what_the_guides_install_is_shown_with_its_conditions() {
    GUIDES.iter().for_each(installs);
}

#[test]
fn what_the_guides_switch_off_is_gone_or_not_enabled() {
    GUIDES.iter().for_each(switches_off);
}
