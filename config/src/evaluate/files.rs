//! A load: its files, their statements, its problems.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_core::policy::RemarkLevel;
use millstream_detection::{Root, platform};

use super::vocabulary::LOAD_STEPS;
use super::world::Loading;
use super::{Evaluator, MAX_PROBLEMS, Result, Stop, World};
use crate::conditions::{Condition, natives};
use crate::configuration::Configuration;
use crate::custom;
use crate::language::check::check;
use crate::language::procs::{Frame, HeldFrames, freeze};
use crate::load::{LoadOptions, Loaded, Message};
use crate::paths;
use crate::problem::{Complaint, Problem};
use crate::source::{Source, Span};
use crate::syntax::{MAX_FILE, parse};
use crate::value::Value;

impl<'o> Evaluator<'o> {
    /// Of configuration files.
    pub(crate) fn for_load(options: &'o LoadOptions) -> Self {
        let mut configuration = Configuration::default();
        let root = Root::new(&options.root);
        if !root.is_running() {
            configuration.package.platform = Some(platform(&root));
        }
        Self::new(World::Load(Box::new(Loading {
            directories: &options.config_dirs,
            root,
            detected: Vec::new(),
            configuration,
            problems: Vec::new(),
            messages: Vec::new(),
            files: Vec::new(),
            read: Vec::new(),
            milters: Vec::new(),
            conditions: Vec::new(),
            next_number: 0,
            extra_options: Value::hash(Vec::new()),
        })))
    }

    /// The load that this is.
    pub(super) fn loading(&mut self) -> Option<&mut Loading<'o>> {
        match &mut self.world {
            World::Load(loading) => Some(loading),
            World::Session(_) => None,
        }
    }

    /// Evaluates the main file.
    pub(crate) fn main_file(&mut self, path: &Path) {
        let name = path.to_string_lossy().into_owned();
        match self.read(path) {
            Ok(bytes) => self.text(&name, bytes),
            Err(complaint) => self.report(Problem::of_file(&name, complaint)),
        }
    }

    /// Evaluates what milter manager's web interface has written, behind the main file.
    pub(crate) fn custom_file(&mut self, path: &Path, main_file: &Path) {
        let name = path.to_string_lossy().into_owned();
        let owner = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.uid());
        let may_say_all = owner(path).is_some_and(|uid| uid == 0 || Some(uid) == owner(main_file));
        // Of a file that cannot have programs started nobody needs to know whose it is.
        let bytes = if may_say_all { self.read(path) } else { read(path) };
        let text = match bytes {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(complaint) => return self.report(Problem::of_file(&name, complaint)),
        };
        if !custom::is_xml(&text) {
            let text = format!("{name} is not in XML, and not read");
            if let Some(loading) = self.loading() {
                loading.messages.push(Message { level: RemarkLevel::Warning, text, location: None });
            }
            return;
        }
        let custom = custom::read(path, &text, may_say_all);
        custom.problems.into_iter().for_each(|problem| self.report(problem));
        let before = self.loading().map_or(0, |loading| loading.problems.len());
        self.text(&name, custom.statements.into_bytes());
        // Only the lines are those of the file.
        for problem in self.loading().into_iter().flat_map(|loading| loading.problems.iter_mut().skip(before))
        {
            problem.column = 0;
            problem.source_line = None;
        }
    }

    /// Evaluates `bytes` as the main file.
    pub(crate) fn text(&mut self, name: &str, bytes: Vec<u8>) {
        if let Err(stop) = self.file(name, bytes) {
            self.note(stop);
        }
    }

    pub(crate) fn report(&mut self, problem: Problem) {
        let Some(loading) = self.loading() else { return };
        if loading.problems.len() < MAX_PROBLEMS && !loading.problems.contains(&problem) {
            loading.problems.push(problem);
        }
    }

    pub(super) fn note(&mut self, stop: Stop) {
        if let Stop::Problem(problem) = stop {
            self.report(*problem);
        }
    }

    /// Keeps the variables that a stopper can see.
    pub(crate) fn hold(&mut self, frame: &Arc<Frame>) {
        self.heap.hold(frame);
    }

    /// A file's bytes, never more than one too many. That it was read is remembered.
    pub(super) fn read(&mut self, path: &Path) -> std::result::Result<Vec<u8>, Complaint> {
        if let Some(loading) = self.loading()
            && !loading.read.iter().any(|known| known == path)
        {
            loading.read.push(path.to_owned());
        }
        read(path)
    }

    /// What the load gave.
    pub(crate) fn finish(mut self) -> Loaded {
        self.settle_detected();
        self.keep_extra_options();
        self.apply_policies();
        if self.loading().is_some_and(|loading| natives::need_stress(&loading.configuration.milters)) {
            self.detect_stress();
        }
        let heap = std::mem::take(&mut self.heap);
        let World::Load(loading) = self.world else { return Loaded::default() };
        let Loading { mut configuration, problems, messages, read, detected, .. } = *loading;
        // From now on event loops share it.
        let of_conditions = configuration.conditions.iter().flat_map(Condition::callables);
        of_conditions.chain(configuration.knobs.callables()).for_each(freeze);
        configuration.frames = HeldFrames::of(heap);
        Loaded { configuration, problems, messages, files: read, detected }
    }

    /// Looks up how many sessions are stress, unless that is set or known.
    pub(crate) fn detect_stress(&mut self) {
        let Some(loading) = self.loading() else { return };
        let stress = &mut Arc::make_mut(&mut loading.configuration.knobs).stress;
        if stress.detect() {
            let text = format!("[breaker][detect][threshold][postfix] <{}>", stress.threshold());
            loading.messages.push(Message { level: RemarkLevel::Info, text, location: None });
        }
    }

    /// The files that `path` means, each with its bytes. That there are none is a problem.
    pub(crate) fn files_of(&mut self, path: &str, at: Span) -> Result<Vec<(String, Vec<u8>)>> {
        let mut found = Vec::new();
        for file in self.paths_of(path, at, true)? {
            let bytes = self.read(&file).map_err(|complaint| self.stop(at, complaint))?;
            self.spend(LOAD_STEPS + bytes.len() / 64, at)?;
            found.push((file.to_string_lossy().into_owned(), bytes));
        }
        Ok(found)
    }

    /// The files that `path` means. That there are none is a problem where one is `required`.
    pub(super) fn paths_of(&mut self, path: &str, at: Span, required: bool) -> Result<Vec<PathBuf>> {
        if path.is_empty() || path.contains('\0') {
            return Err(self.stop(at, missing(path)));
        }
        let directories = self.loading().map_or(&[][..], |loading| loading.directories);
        let files = paths::resolve(directories, path).map_err(|complaint| self.stop(at, complaint))?;
        let nothing = files.is_empty() || matches!(&files[..], [only] if !paths::may_exist(only));
        match (nothing, required) {
            (true, true) => Err(self.stop(at, missing(path))),
            (true, false) => Ok(Vec::new()),
            (false, _) => Ok(files),
        }
    }

    pub(super) fn file(&mut self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.spend(1 + bytes.len() / 64, Span { start: 0, end: 0 })?;
        let source = Arc::new(Source::new(name.to_owned(), bytes));
        let mut file = match parse(&source) {
            Err(problems) => {
                problems.into_iter().for_each(|problem| self.report(problem));
                return Ok(());
            }
            Ok(file) => file,
        };
        // What is wrong and not reached is told behind its statement, so that problems are in the order of evaluation.
        let mut wrong = check(&mut file, &source).into_iter();
        if let Some(loading) = self.loading() {
            loading.files.push(name.into());
        }
        let frame_before = self.frame.replace(Frame::new(file.variables, None));
        let source_before = self.source.replace(source);
        let match_before = std::mem::replace(&mut self.last_match, Value::Nil);
        let mut result = Ok(());
        for statement in &file.statements {
            let done = self.statements(std::slice::from_ref(statement));
            wrong.next().into_iter().flatten().for_each(|problem| self.report(problem));
            match done {
                Ok(_) | Err(Stop::Reported) => {}
                Err(stop @ Stop::Exhausted) => {
                    result = Err(stop);
                    break;
                }
                Err(stop) => self.note(stop),
            }
        }
        self.last_match = match_before;
        self.source = source_before;
        self.frame = frame_before;
        if let Some(loading) = self.loading() {
            loading.files.pop();
        }
        result
    }
}

/// That no file is meant by `path`.
pub(super) fn missing(path: &str) -> Complaint {
    let hint = if path.contains('*') {
        "nothing matches the pattern in any configuration directory; use load_if_exist, or remove the line"
    } else {
        "use load_if_exist for a file that may be missing"
    };
    Complaint::with_hint(format!("{path} doesn't exist."), hint)
}

/// Only a regular file, so that nothing is waited for.
fn read(path: &Path) -> std::result::Result<Vec<u8>, Complaint> {
    let complain = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Complaint::new(format!("{} doesn't exist.", path.display())),
        _ => Complaint::new(format!("{} cannot be read: {error}", path.display())),
    };
    if !fs::metadata(path).map_err(|error| complain(&error))?.is_file() {
        return Err(Complaint::new(format!("{} is not a regular file", path.display())));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE + 1).unwrap_or(u64::MAX);
    let file = fs::File::open(path).map_err(|error| complain(&error))?;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| complain(&error))?;
    Ok(bytes)
}
