//! The headers as Sendmail keeps them: what `milter.c` and `headers.c` of Sendmail 8.17 do to them, in a few lines. That
//! it does so is shown with the real one in `tests/tests/real_mail/same_edits.rs`.

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: Vec<u8>,
    /// Everything behind the colon; nothing once it is deleted.
    raw: Option<Vec<u8>>,
    /// Shown to milters and counted by them.
    user: bool,
}

impl Entry {
    fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// A header of the configuration, or one that was deleted for an earlier milter; there may be many Received.
    fn is_default(&self) -> bool {
        !self.user && !self.is(b"Received")
    }
}

/// The header of a message in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SendmailHeader(Vec<Entry>);

impl SendmailHeader {
    pub(crate) fn new() -> Self {
        let defaults = [
            "Return-Path",
            "Received",
            "Resent-Date",
            "Date",
            "Resent-From",
            "From",
            "Full-Name",
            "Resent-Message-Id",
            "Message-Id",
        ];
        let own = |name: &str| Entry {
            name: name.into(),
            raw: Some(b" of the configuration".to_vec()),
            user: false,
        };
        Self(defaults.map(own).to_vec())
    }

    pub(crate) fn receive(&mut self, name: &[u8], raw: &[u8]) {
        self.0.push(Entry { name: name.to_vec(), raw: Some(raw.to_vec()), user: true });
    }

    /// A milter is shown the header: what was deleted until now counts no more.
    pub(crate) fn begin(&mut self) {
        for entry in self.0.iter_mut().filter(|entry| entry.raw.is_none()) {
            entry.user = false;
        }
    }

    /// What milters are shown.
    pub(crate) fn visible(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let shown = self.0.iter().filter(|entry| entry.user);
        shown.filter_map(|entry| Some((entry.name.clone(), entry.raw.clone()?))).collect()
    }

    /// What is delivered. Blanks alone are one value: a header that an earlier milter has deleted and that is added again
    /// without a value can only be brought back with a blank.
    pub(crate) fn delivered(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let value = |raw: &[u8]| if raw.iter().all(|byte| *byte == b' ') { Vec::new() } else { raw.to_vec() };
        self.0.iter().filter_map(|entry| Some((entry.name.clone(), value(entry.raw.as_ref()?)))).collect()
    }

    pub(crate) fn add(&mut self, name: &[u8], raw: Vec<u8>) {
        match self.0.iter_mut().find(|entry| entry.is(name) && entry.is_default()) {
            Some(entry) => (entry.raw, entry.user) = (Some(raw), true),
            None => self.add_new(name, raw),
        }
    }

    fn add_new(&mut self, name: &[u8], raw: Vec<u8>) {
        let place = self.0.iter().position(|entry| entry.is(name)).unwrap_or(self.0.len());
        self.0.insert(place, Entry { name: name.to_vec(), raw: Some(raw), user: true });
    }

    pub(crate) fn insert(&mut self, index: i32, name: &[u8], raw: Vec<u8>) {
        let place = (index.max(0) as usize + 1).min(self.0.len());
        self.0.insert(place, Entry { name: name.to_vec(), raw: Some(raw), user: true });
    }

    pub(crate) fn change(&mut self, mut index: i32, name: &[u8], raw: Option<Vec<u8>>) {
        let mut found = None;
        for (place, entry) in self.0.iter().enumerate().filter(|(_, entry)| entry.is(name)) {
            if entry.user {
                index = index.saturating_sub(1);
                if index <= 0 {
                    found = Some(place);
                    break;
                }
            } else if entry.is_default() {
                found = Some(place);
            }
        }
        match (found, raw) {
            (None, None) => {}
            (None, Some(raw)) => self.add_new(name, raw),
            (Some(place), None) => self.0[place].raw = None,
            (Some(place), Some(raw)) => (self.0[place].raw, self.0[place].user) = (Some(raw), true),
        }
    }
}
