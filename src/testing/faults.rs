//! Failures on demand: which calls, how often, and what goes wrong.

use super::{Answer, request::Request};

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    /// Nothing is done, and this is the answer.
    Refuse(Answer),
    /// It is done, and this is the answer nevertheless.
    DoneBut(Answer),
    /// Nothing is done, and no answer comes.
    Hang,
    /// It is done, and no answer comes.
    DoneAndHang,
}

/// A failure of the next calls that match.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    verb: &'static str,
    resource: &'static str,
    times: usize,
    after: usize,
    effect: Effect,
}

impl Fault {
    /// The next call of this verb on this resource fails so.
    pub(crate) fn once(verb: &'static str, resource: &'static str, effect: Effect) -> Self {
        Self { verb, resource, times: 1, after: 0, effect }
    }

    /// So many times.
    pub(crate) fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Not before so many that match have gone well.
    pub(crate) fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }

    fn matches(&self, request: &Request) -> bool {
        self.verb == request.verb && self.resource == request.place.resource
    }
}

/// What goes wrong with this request, if anything; faults wear out.
pub(super) fn strike(faults: &mut Vec<Fault>, request: &Request) -> Option<Effect> {
    let at = faults.iter().position(|fault| fault.matches(request))?;
    let fault = &mut faults[at];
    if fault.after > 0 {
        fault.after -= 1;
        return None;
    }
    let effect = fault.effect.clone();
    fault.times -= 1;
    if fault.times == 0 {
        faults.remove(at);
    }
    Some(effect)
}
