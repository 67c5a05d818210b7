//! The directory of the machine-written file, as the program finds it.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use nix::unistd::geteuid;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What `--show-config` says of `manager.n_workers` and `manager.daemon`, with a custom directory of this owner.
fn shown(name: &str, owner: Option<u32>) -> (Option<i32>, Vec<String>) {
    let folder =
        Folder(std::env::temp_dir().join(format!("millstream-custom-{}-{name}", std::process::id())));
    let custom = folder.0.join("custom");
    fs::create_dir_all(&custom).unwrap();
    let main = format!(
        "manager.custom_configuration_directory = \"{}\"\nload_if_exist(\"more.conf\")\n",
        custom.display()
    );
    fs::write(folder.0.join("milter-manager.conf"), main).unwrap();
    fs::write(custom.join("more.conf"), "manager.daemon = true\n").unwrap();
    let xml = "<configuration><manager><n-workers>3</n-workers></manager></configuration>";
    fs::write(custom.join("milter-manager.custom.conf"), xml).unwrap();
    chown(&custom, owner, None).unwrap();

    let mut command = Command::new(env!("CARGO_BIN_EXE_milter-manager"));
    command.env_remove("MILTER_MANAGER_CONFIG_DIR").arg("-c").arg(&folder.0).arg("--show-config");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let wanted = ["manager.n_workers = ", "manager.daemon = "];
    let lines = text.lines().filter(|line| wanted.iter().any(|wanted| line.starts_with(wanted)));
    (output.status.code(), lines.map(str::to_owned).collect())
}

#[test]
fn files_are_looked_for_in_the_directory_that_the_main_file_names() {
    let lines = ["manager.daemon = true", "manager.n_workers = 3"].map(str::to_owned).to_vec();
    assert_eq!(shown("own", None), (Some(0), lines));
}

#[test]
fn in_the_directory_of_another_user_only_the_machine_written_file_is_read() {
    // Nobody else can give a directory away.
    if !geteuid().is_root() {
        return;
    }
    let lines = ["manager.daemon = false", "manager.n_workers = 3"].map(str::to_owned).to_vec();
    assert_eq!(shown("other", Some(12345)), (Some(0), lines));
}
