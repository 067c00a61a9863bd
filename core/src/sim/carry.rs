//! Carrying a plan out, one request after the other, as the executor does.
//!
//! The lease is asked right before each request. A record that failed stops the plan, a Pod that failed what comes
//! after it, but not the status. After a write of unknown outcome the service is read live, and a create of unknown
//! outcome is sent again by the same name first.

use super::{
    objects::Kind,
    request::{Request, brief},
    script::Trouble,
    server::{Answer, apply},
    store::Change,
    time::Millis,
    world::{Event, Flight, Wake, World},
};

impl World {
    pub(super) fn send(&mut self, id: usize) {
        let now = self.now;
        let operator = &mut self.operators[id];
        let next = operator.todo.pop_front();
        let (Some(request), Some(term)) = (next, operator.writes(now)) else {
            let failed = operator.failed;
            operator.give_up_plan();
            operator.failures = if failed { operator.failures + 1 } else { 0 };
            operator.refusal = operator.refusal.filter(|_| failed);
            let wait = if failed { 100 << operator.failures.min(5) } else { 5 };
            return self.rouse(id, wait);
        };
        self.note(|| format!("operator {id} sends {}", brief(&request)));
        let number = self.tally.requests;
        self.tally.requests += 1;
        let mut latency = self.draw(&[13, id as u64, number]).between(1, 30);
        let operator = &mut self.operators[id];
        let life = operator.life;
        let strikes = |armed: &mut u32| {
            let now = *armed == 0;
            *armed = armed.saturating_sub(1);
            now
        };
        let crash = operator.crash_in.as_mut().is_some_and(|(left, _)| strikes(left));
        let stop = operator.stop_in.as_mut().is_some_and(|(left, ..)| strikes(left));
        if let Some((_, length, held)) = operator.stop_in.filter(|_| stop) {
            operator.stop_in = None;
            operator.stopped_until = now + length;
            latency += if held { length } else { 0 };
            self.note(|| format!("operator {id} stands still, request held: {held}"));
        }
        self.flights.insert(number, Flight { operator: id, life, term, request, answer: None, late: false });
        self.at(now + latency, Event::Arrive(number));
        if let Some((_, away)) = self.operators[id].crash_in.filter(|_| crash) {
            self.crash(id, away);
        }
    }

    /// A request is at the API server.
    pub(super) fn arrive(&mut self, number: u64) {
        let Some(flight) = self.flights.get(&number) else { return };
        let (id, life, late) = (flight.operator, flight.life, flight.late);
        // The store does not overtake itself by more than a Pod's life: what came later under that name stands.
        if let (true, Request::Create { instance, run, .. }) = (late, &flight.request)
            && self.oracle.has_had(*instance, *run)
        {
            return;
        }
        let trouble = if late { None } else { self.troubles.pop_front() };
        let mut answer = match trouble {
            Some(Trouble::Conflict) => Answer::Conflict,
            Some(Trouble::Busy) => Answer::Busy,
            Some(Trouble::Dropped | Trouble::Late(_)) => Answer::Unknown,
            Some(Trouble::Applied) | None => {
                let request = flight.request.clone();
                let answer = apply(&mut self.store, &request, self.now, &self.setting);
                if matches!(answer, Answer::Term) {
                    self.tally.fenced += 1;
                }
                answer
            }
        };
        if trouble == Some(Trouble::Applied) {
            answer = Answer::Unknown;
        }
        if let Some(trouble) = trouble {
            self.tally.troubles += 1;
            self.note(|| format!("request {number} meets {trouble:?}"));
        }
        if late {
            self.flights.remove(&number);
            return;
        }
        if let Some(Trouble::Late(delay)) = trouble {
            let flight = self.flights.get(&number).map(|flight| flight.request.clone());
            let term = self.flights.get(&number).map_or(0, |flight| flight.term);
            if let Some(request) = flight {
                let again = u64::MAX - number;
                let flight = Flight { operator: id, life, term, request, answer: None, late: true };
                self.flights.insert(again, flight);
                self.at(self.now + delay, Event::Arrive(again));
            }
        }
        if let Some(flight) = self.flights.get_mut(&number) {
            flight.answer = Some(answer);
        }
        let latency = self.draw(&[14, number]).between(1, 10);
        self.at(self.now + latency, Event::Operator(id, life, Wake::Answer(number)));
    }

    pub(super) fn answered(&mut self, id: usize, number: u64) {
        let Some(Flight { request, answer: Some(answer), .. }) = self.flights.remove(&number) else { return };
        if matches!(request, Request::Create { .. }) && self.is_in_doubt(id, &answer) {
            self.note(|| format!("request {number} of operator {id}: {answer:?}, sent again"));
            self.operators[id].todo.push_front(request);
            return self.after(id, 200, Wake::Send);
        }
        let guards = self.setting.guards;
        let operator = &mut self.operators[id];
        let cache = &mut operator.cache;
        let mut news = false;
        let mut undone = true;
        match &answer {
            Answer::Done(changes) => {
                if guards.assume {
                    news = changes.iter().fold(false, |news, change| news | cache.take(change));
                }
                undone = false;
            }
            Answer::Missing => {
                let gone = match request {
                    Request::Tell { uid, .. } | Request::Retire { uid } => Some((Kind::Pod, uid)),
                    Request::Gate { uid, .. } | Request::Change { uid, .. } => Some((Kind::Pod, uid)),
                    Request::Delete { kind, uid } | Request::Adopt { kind, uid, .. } => Some((kind, uid)),
                    _ => None,
                };
                if let Some((kind, uid)) = gone {
                    news = cache.forget(kind, uid);
                    undone = false;
                }
                operator.unsettled |= matches!(request, Request::Mark { .. });
            }
            Answer::Exists(object) => {
                news = cache.take(&Change::Put((**object).clone()));
                undone = matches!(request, Request::Start { .. });
            }
            Answer::Refused => operator.refusal = Some(operator.generation),
            Answer::Conflict | Answer::Term | Answer::Busy => {}
            Answer::Unknown => operator.unsettled = guards.settle,
        }
        if undone {
            self.note(|| format!("request {number} of operator {id}: {answer:?}"));
            let operator = &mut self.operators[id];
            operator.failed = true;
            if request.is_record() {
                operator.todo.clear();
            } else if let (Request::Create { revision, .. }, Answer::Refused) = (&request, &answer) {
                operator.todo.retain(|other| !other.creates(*revision));
            } else {
                // The status still tells what was found.
                operator.todo.retain(|request| matches!(request, Request::Status { .. }));
            }
        }
        if news {
            self.rouse(id, 15);
        }
        self.after(id, 0, Wake::Send);
    }

    /// Whether a create has to be sent again by the same name, until it is known what became of it: applied late, it
    /// would be there beside what the next plan makes.
    fn is_in_doubt(&mut self, id: usize, answer: &Answer) -> bool {
        let operator = &mut self.operators[id];
        operator.in_doubt = match answer {
            Answer::Unknown => self.setting.guards.settle,
            Answer::Busy | Answer::Conflict | Answer::Term => operator.in_doubt,
            Answer::Done(_) | Answer::Missing | Answer::Exists(_) | Answer::Refused => false,
        };
        operator.in_doubt
    }

    pub(super) fn arm_crash(&mut self, id: usize, requests: u32, away: Millis) {
        self.operators[id].crash_in = Some((requests, away));
    }

    pub(super) fn arm_stop(&mut self, id: usize, requests: u32, length: Millis, held: bool) {
        self.operators[id].stop_in = Some((requests, length, held));
    }
}
