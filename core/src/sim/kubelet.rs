//! The scheduler and the kubelets, scripted by the quality of a Pod's config.
//!
//! A Pod gets a node, starts, becomes Ready or doesn't, ends by itself or when told: slowly at times. On a lost
//! node nothing happens before it is back. Decides nothing about services.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    model::{InPlace, NodeId, Stage, Uid},
    state::{ContainerFacts, ContainerKind, ContainerState, Phase},
};

use super::{
    jobs,
    objects::{Kind, Pod},
    setting::Quality,
    time::{Millis, SECOND, clock, whole},
    world::{Event, World},
};

/// What happens to a Pod next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Schedule,
    Start,
    Ready,
    Exit(i32),
    HalfEnd,
    /// Something that containers of this making do, if they are still those.
    Own(u32, Own),
    /// Its gate was shut.
    Shut,
    /// A change in place is carried out, or found to be none that can be.
    Change,
    /// Its containers have stopped after its deletion was asked for.
    Stop,
    /// Its containers have stopped after its deadline.
    StopAndStay,
    Remove,
}

/// What containers do by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Ready,
    Exit(i32),
    HalfEnd,
}

/// What kubelets and scheduler remember of Pods.
#[derive(Debug, Default)]
pub(super) struct Lives {
    lives: BTreeMap<Uid, Life>,
    /// What waits for a node to come back.
    parked: BTreeMap<NodeId, Vec<(Uid, Step)>>,
}

impl Lives {
    /// Whether a Pod was not seen before.
    pub(super) fn is_new(&self, uid: Uid) -> bool {
        !self.lives.contains_key(&uid)
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Life {
    stopping: bool,
    stopping_to_stay: bool,
    was_ready: bool,
    /// Counts the times its containers were made.
    making: u32,
    /// Its gate was open when it was last seen.
    open: bool,
    /// The change of it that was last seen.
    change: Option<Timestamp>,
}

impl World {
    /// The scheduler, or the kubelet, sees a Pod as it is now.
    pub(super) fn pod_seen(&mut self, pod: &Pod) {
        let uid = pod.meta.uid;
        let mut draw = self.draw(&[20, pod.instance.into(), pod.run.into()]);
        let quality = self.setting.quality(pod.revision);
        let is_new = self.lives.is_new(uid);
        if is_new && quality != Quality::NoNode {
            self.at(self.now + draw.between(50, 2000), Event::Pod(uid, Step::Schedule));
        }
        let stubborn = self.now < self.stubborn_until && draw.chance(60);
        let grace = Millis::from(self.setting.grace_seconds(pod.revision)) * SECOND;
        let quickly = if draw.chance(85) { draw.between(20, 1500) } else { draw.between(20, grace + 500) };
        let now = self.now;
        let life = self.lives.lives.entry(uid).or_default();
        let mut next = None;
        if pod.deleting.is_some() && !life.stopping {
            life.stopping = true;
            next = Some((if stubborn { 450 * SECOND } else { quickly }, Step::Stop));
        } else if pod.deadline && !life.stopping_to_stay && !pod.has_ended() {
            life.stopping_to_stay = true;
            next = Some((SECOND + quickly, Step::StopAndStay)).filter(|_| !stubborn);
        }
        if let Some((delay, step)) = next {
            self.at(now + delay, Event::Pod(uid, step));
        }
        if let Some(gate) = pod.in_place {
            self.gate_seen(uid, gate);
        }
    }

    /// The kubelet sees the gate of a Pod, and what is to be changed of it.
    fn gate_seen(&mut self, uid: Uid, gate: InPlace) {
        let mut draw = self.draw(&[25, self.now]);
        let life = self.lives.lives.entry(uid).or_default();
        let change = gate.change.map(|change| change.at);
        let is_turned = std::mem::replace(&mut life.open, gate.open) != gate.open;
        let is_changed = std::mem::replace(&mut life.change, change) != change;
        let was_ready = life.was_ready;
        if is_turned && !gate.open {
            self.at(self.now + draw.between(20, 1500), Event::Pod(uid, Step::Shut));
        } else if is_turned && was_ready {
            self.at(self.now + draw.between(20, 1500), Event::Pod(uid, Step::Ready));
        }
        if is_changed {
            self.at(self.now + draw.between(50, 5000), Event::Pod(uid, Step::Change));
        }
    }

    pub(super) fn pod_step(&mut self, uid: Uid, step: Step) {
        let Some(pod) = self.store.pod(uid).cloned() else { return };
        if step == Step::Schedule {
            return self.schedule(&pod);
        }
        if let Some(node) = pod.node
            && self.store.nodes.get(&node).is_some_and(|node| node.lost.is_some())
        {
            self.lives.parked.entry(node).or_default().push((uid, step));
            return;
        }
        match step {
            Step::Schedule => {}
            Step::Start => self.start(&pod),
            Step::Ready => {
                let at = self.kubelet_clock(&pod);
                if let Some(life) = self.lives.lives.get_mut(&uid) {
                    life.was_ready = true;
                }
                self.store.edit_pod(uid, |pod| {
                    let is_open = pod.in_place.is_none_or(|gate| gate.open);
                    if pod.phase == Phase::Running && pod.deleting.is_none() && is_open {
                        pod.ready_since.get_or_insert(at);
                        pod.unready_since = None;
                    }
                });
            }
            Step::Exit(code) => self.end_pod(&pod, code, None),
            Step::HalfEnd => {
                let at = self.kubelet_clock(&pod);
                self.store.edit_pod(uid, |pod| {
                    if pod.phase == Phase::Running
                        && let Some(container) = pod.containers.first_mut()
                    {
                        terminate(container, 1, at);
                        // It is not started again, whatever was to be changed.
                        if pod
                            .in_place
                            .and_then(|gate| gate.change)
                            .is_some_and(|it| it.stage == Stage::Pending)
                        {
                            set_stage(pod, Stage::Stuck);
                        }
                    }
                });
            }
            Step::Own(making, own) => {
                if self.lives.lives.get(&uid).is_some_and(|life| life.making == making) {
                    self.pod_step(
                        uid,
                        match own {
                            Own::Ready => Step::Ready,
                            Own::Exit(code) => Step::Exit(code),
                            Own::HalfEnd => Step::HalfEnd,
                        },
                    );
                }
            }
            Step::Shut => {
                let at = self.kubelet_clock(&pod);
                self.store.edit_pod(uid, |pod| {
                    if pod.in_place.is_some_and(|gate| !gate.open) && pod.ready_since.is_some() {
                        (pod.ready_since, pod.unready_since) = (None, Some(at));
                    }
                });
            }
            Step::Change => self.change(&pod),
            Step::Stop => {
                if !pod.has_ended() && self.draw(&[21, pod.instance.into(), pod.run.into()]).chance(70) {
                    self.end_pod(&pod, 143, None);
                }
                self.at(self.now + 150, Event::Pod(uid, Step::Remove));
            }
            Step::StopAndStay if pod.deleting.is_none() => self.end_pod(&pod, 0, Some("DeadlineExceeded")),
            Step::StopAndStay => {}
            Step::Remove => drop(self.store.remove(Kind::Pod, uid)),
        }
    }

    fn schedule(&mut self, pod: &Pod) {
        if pod.node.is_some() || pod.deleting.is_some() || pod.has_ended() {
            return;
        }
        let up: Vec<NodeId> =
            self.store.nodes.values().filter(|node| node.lost.is_none()).map(|node| node.id).collect();
        let mut draw = self.draw(&[22, pod.instance.into(), pod.run.into()]);
        if up.is_empty() {
            return self.at(self.now + 2 * SECOND, Event::Pod(pod.meta.uid, Step::Schedule));
        }
        let node = draw.pick(&up);
        let rejected = self.setting.quality(pod.revision) == Quality::Rejected && pod.run % 2 == 1;
        self.store.edit_pod(pod.meta.uid, |pod| {
            pod.node = Some(node);
            if rejected {
                (pod.phase, pod.reason) = (Phase::Failed, Some("OutOfcpu"));
            }
        });
        self.at(self.now + draw.between(100, 3000), Event::Pod(pod.meta.uid, Step::Start));
    }

    fn start(&mut self, pod: &Pod) {
        if pod.phase != Phase::Pending || pod.deleting.is_some() || pod.deadline {
            return;
        }
        self.make_containers(pod);
    }

    /// Carries out a change in place, unless the node has no room for it or the new image can't be had.
    fn change(&mut self, pod: &Pod) {
        let is_pending =
            pod.in_place.and_then(|gate| gate.change).is_some_and(|it| it.stage == Stage::Pending);
        if !is_pending || pod.has_ended() || pod.deleting.is_some() {
            return;
        }
        let mut draw = self.draw(&[26, self.now, pod.instance.into()]);
        let nowhere = matches!(self.setting.quality(pod.revision), Quality::NoNode | Quality::Rejected);
        if nowhere || draw.chance(10) {
            self.tally.stuck += 1;
            // Where the old containers were stopped for it already, and nobody starts them again, that is its end.
            if draw.chance(30) {
                return self.end_pod(pod, draw.pick(&[0, 1]), None);
            }
            return self.store.edit_pod(pod.meta.uid, |pod| set_stage(pod, Stage::Stuck));
        }
        self.tally.changed += 1;
        if let Some(life) = self.lives.lives.get_mut(&pod.meta.uid) {
            (life.making, life.was_ready) = (life.making + 1, false);
        }
        self.store.edit_pod(pod.meta.uid, |pod| set_stage(pod, Stage::Done));
        self.make_containers(pod);
    }

    /// Starts the containers of a Pod, which then do what the quality of its config says.
    fn make_containers(&mut self, pod: &Pod) {
        let quality = self.setting.quality(pod.revision);
        let making = self.lives.lives.get(&pod.meta.uid).map_or(0, |life| life.making);
        let since = self.kubelet_clock(pod);
        let container =
            ContainerFacts { kind: ContainerKind::Regular, state: ContainerState::Running { since } };
        let count = if quality == Quality::HalfEnds { 2 } else { 1 };
        self.store.edit_pod(pod.meta.uid, |pod| {
            pod.phase = Phase::Running;
            pod.containers = vec![container; count];
        });
        let mut draw = self.draw(&[23, pod.instance.into(), pod.run.into()]);
        let (ready, end) = (draw.between(100, 8000), draw.between(200, 12_000));
        let uid = pod.meta.uid;
        if quality != Quality::NeverReady {
            self.at(self.now + ready, Event::Pod(uid, Step::Own(making, Own::Ready)));
        }
        if self.is_job() {
            let (code, after) = jobs::own_end(&self.setting, pod);
            self.at(self.now + after, Event::Pod(uid, Step::Own(making, Own::Exit(code))));
        }
        let end_step = match quality {
            Quality::Crashes(code) => Some(Own::Exit(code)),
            Quality::Flaky if pod.run % 2 == 1 => Some(Own::Exit(1)),
            Quality::HalfEnds => Some(Own::HalfEnd),
            _ => None,
        };
        if let Some(step) = end_step {
            self.at(self.now + end, Event::Pod(uid, Step::Own(making, step)));
        }
    }

    /// Ends all containers of a Pod that have not ended.
    pub(super) fn end_pod(&mut self, pod: &Pod, code: i32, reason: Option<&'static str>) {
        let at = self.kubelet_clock(pod);
        self.store.edit_pod(pod.meta.uid, |pod| {
            if pod.has_ended() {
                return;
            }
            pod.containers.iter_mut().for_each(|container| terminate(container, code, at));
            // What had not been changed yet can't be any more.
            if pod.in_place.and_then(|gate| gate.change).is_some_and(|it| it.stage == Stage::Pending) {
                set_stage(pod, Stage::Stuck);
            }
            pod.ready_since = None;
            pod.reason = reason;
            pod.phase = if code == 0 && reason.is_none() { Phase::Succeeded } else { Phase::Failed };
        });
    }

    fn kubelet_clock(&self, pod: &Pod) -> jiff::Timestamp {
        let node = pod.node.map_or(0, |node| u64::from(node.0));
        let skew = i64::try_from(self.draw(&[24, node]).below(4000)).unwrap_or(0) - 2000;
        whole(clock(self.now, skew))
    }

    pub(super) fn lose_node(&mut self, id: NodeId, length: Millis) {
        let lost = Some(whole(clock(self.now, 0)));
        let Some(node) = self.store.nodes.get(&id).copied().filter(|node| node.lost.is_none()) else {
            return;
        };
        self.store.put(super::objects::Node { lost, ..node });
        for uid in self.pods_on(id) {
            self.store.edit_pod(uid, |pod| (pod.ready_since, pod.unready_since) = (None, lost));
        }
        self.at(self.now + length, Event::NodeBack(id));
    }

    pub(super) fn node_back(&mut self, id: NodeId) {
        let Some(node) = self.store.nodes.get(&id).copied() else { return };
        self.store.put(super::objects::Node { lost: None, ..node });
        for (uid, step) in self.lives.parked.remove(&id).unwrap_or_default() {
            self.at(self.now + 200, Event::Pod(uid, step));
        }
        for uid in self.pods_on(id) {
            if self.lives.lives.get(&uid).is_some_and(|life| life.was_ready) {
                self.at(self.now + SECOND, Event::Pod(uid, Step::Ready));
            }
        }
    }

    /// Pods of a node that is no more are collected: said to be disrupted, ended, and removed.
    pub(super) fn collect_pods_of(&mut self, id: NodeId) {
        self.lives.parked.remove(&id);
        for uid in self.pods_on(id) {
            self.store.edit_pod(uid, |pod| {
                if !pod.has_ended() {
                    (pod.disrupted, pod.phase) = (true, Phase::Failed);
                }
            });
            self.store.remove(Kind::Pod, uid);
        }
    }

    fn pods_on(&self, id: NodeId) -> Vec<Uid> {
        self.store.pods.values().filter(|pod| pod.node == Some(id)).map(|pod| pod.meta.uid).collect()
    }
}

fn set_stage(pod: &mut Pod, stage: Stage) {
    if let Some(change) = pod.in_place.as_mut().and_then(|gate| gate.change.as_mut()) {
        change.stage = stage;
    }
}

fn terminate(container: &mut ContainerFacts, exit_code: i32, at: jiff::Timestamp) {
    if let ContainerState::Running { since } = container.state {
        container.state = ContainerState::Terminated {
            exit_code,
            out_of_memory: false,
            started: Some(since),
            finished: Some(at),
            for_good: true,
        };
    }
}
