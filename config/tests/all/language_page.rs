//! `docs/language.md` is what the tables say.

use std::env;
use std::fs;
use std::path::Path;

use millstream_config::language_page;

#[test]
fn the_page_is_written_from_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/language.md");
    if env::var_os("UPDATE_PAGES").is_some() {
        fs::write(&path, language_page()).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap();
    assert!(
        page == language_page(),
        "docs/language.md is old: UPDATE_PAGES=1 cargo test -p millstream-config"
    );
}
