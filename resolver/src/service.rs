//! The thread that asks, and the way to it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{Id, JoinSet};

use crate::library;
use crate::options::Options;
use crate::question::{Answer, Failure, Question};
use crate::system::System;

/// Takes an answer. Called in the resolver's thread, where it must not block; dropped uncalled when that ends.
pub type Reply = Box<dyn FnOnce(Answer) + Send>;

/// Questions that were asked and not looked at yet. The thread looks at them at once, so that many are a crowd.
const QUEUE: usize = 1024;

/// The resolver of a process. Its thread begins with the first question and ends when this is dropped.
pub struct Resolver {
    options: Arc<Options>,
    /// The way to the thread, when there is one.
    thread: Mutex<Option<Sender<Asked>>>,
}

struct Asked {
    question: Question,
    reply: Reply,
}

impl Resolver {
    /// Nothing is opened or started yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options: Arc::new(options), thread: Mutex::default() }
    }

    /// Asks, and gives the answer to `reply`: from another thread, or at once when there is no room for the question. Does
    /// not block.
    pub fn ask(&self, question: Question, reply: Reply) {
        let mut asked = Asked { question, reply };
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        // A second time when the thread has died.
        for _ in 0..2 {
            if thread.is_none() {
                match start(&self.options) {
                    Ok(started) => *thread = Some(started),
                    Err(error) => {
                        return (asked.reply)(Answer::Failed(Failure::NotStarted(error.to_string())));
                    }
                }
            }
            let Some(way) = thread.as_ref() else { break };
            asked = match way.try_send(asked) {
                Ok(()) => return,
                Err(TrySendError::Full(refused)) => {
                    return (refused.reply)(Answer::Failed(Failure::Busy));
                }
                Err(TrySendError::Closed(refused)) => {
                    *thread = None;
                    refused
                }
            };
        }
        (asked.reply)(Answer::Failed(Failure::NotStarted("its thread has died".to_owned())));
    }

    /// Asks and waits.
    pub fn ask_and_wait(&self, question: Question) -> Answer {
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.ask(
            question,
            Box::new(move |found| {
                // There is room for it, and the other end is below.
                let _ = answer.try_send(found);
            }),
        );
        answered
            .recv()
            .unwrap_or_else(|_| Answer::Failed(Failure::NotStarted("its thread has died".to_owned())))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("options", &self.options).finish_non_exhaustive()
    }
}

fn start(options: &Arc<Options>) -> io::Result<Sender<Asked>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (sender, receiver) = channel(QUEUE);
    let service = Service::new(options);
    thread::Builder::new().name("dns".to_owned()).spawn(move || serve(&runtime, service, receiver))?;
    Ok(sender)
}

fn serve(runtime: &Runtime, mut service: Service, mut receiver: Receiver<Asked>) {
    runtime.block_on(async {
        loop {
            tokio::select! {
                asked = receiver.recv() => match asked {
                    Some(asked) => service.take(asked),
                    None => return,
                },
                Some(done) = service.running.join_next_with_id() => match done {
                    Ok((task, answer)) => service.answer(task, &answer),
                    // The library has panicked over this one.
                    Err(error) => {
                        service.answer(error.id(), &Answer::Failed(Failure::Unreachable(error.to_string())));
                    }
                },
            }
        }
    });
}

/// What the thread knows.
struct Service {
    options: Arc<Options>,
    system: System,
    running: JoinSet<Answer>,
    questions: HashMap<Id, Question>,
    /// Who waits for the answer to each question that is under way.
    waiting: HashMap<Question, Vec<Reply>>,
}

impl Service {
    fn new(options: &Arc<Options>) -> Self {
        Self {
            options: Arc::clone(options),
            system: System::new(Arc::clone(options)),
            running: JoinSet::new(),
            questions: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    fn take(&mut self, Asked { question, reply }: Asked) {
        if let Some(replies) = self.waiting.get_mut(&question) {
            return replies.push(reply);
        }
        if self.waiting.len() >= self.options.in_flight {
            return reply(Answer::Failed(Failure::Busy));
        }
        let servers = match self.system.servers() {
            Ok(servers) => servers,
            Err(failure) => return reply(Answer::Failed(failure)),
        };
        self.waiting.insert(question.clone(), vec![reply]);
        let (asked, options) = (question.clone(), Arc::clone(&self.options));
        let task = self.running.spawn(async move { library::ask(&servers, &asked, &options).await });
        self.questions.insert(task.id(), question);
    }

    fn answer(&mut self, task: Id, answer: &Answer) {
        let question = self.questions.remove(&task);
        for reply in question.and_then(|question| self.waiting.remove(&question)).into_iter().flatten() {
            reply(answer.clone());
        }
    }
}
