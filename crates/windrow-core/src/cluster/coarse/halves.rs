//! What a cluster falls into when two centres share it.

use super::{Candidate, Coarse, inverse_root};
use crate::cluster::Slot;

/// Most rounds of K-Means that part a cluster.
const ROUNDS: usize = 20;

/// A centre, a value for each line of terms.
type Centre = Vec<f32>;

impl Coarse {
    /// The micro-clusters of a slot that are nearer to a second centre than to the one around the heaviest: K-Means with two centres,
    /// begun with the heaviest and the one farthest from it by mass x distance. Empty where nothing can be told apart.
    pub(in super::super) fn lesser_half(&self, slot: Slot) -> Vec<usize> {
        let members: Vec<(usize, f32)> =
            (0..self.n_micros).filter(|&micro| self.home[micro] == slot).map(|micro| (micro, 0.0)).collect();
        let members = self.candidates(&members);
        let mass = |at: usize| self.mass[members[at].micro];
        let most = |of: &dyn Fn(usize) -> f32, but: Option<usize>| {
            let others = (0..members.len()).filter(|&at| Some(at) != but);
            others.max_by(|&a, &b| of(a).total_cmp(&of(b)).then(b.cmp(&a)))
        };
        let Some(heaviest) = most(&mass, None) else { return Vec::new() };
        let first = self.centre(&members, &[heaviest]);
        let Some(farthest) = most(&|at| mass(at) * (1.0 - likeness(&members[at], &first)), Some(heaviest)) else {
            return Vec::new();
        };
        let mut centres = [first, self.centre(&members, &[farthest])];
        let mut going: Vec<usize> = Vec::new();
        for _ in 0..ROUNDS {
            let (stays, goes): (Vec<usize>, Vec<usize>) = (0..members.len()).partition(|&at| {
                let [own, other] = [0, 1].map(|side: usize| likeness(&members[at], &centres[side]));
                at == heaviest || (at != farthest && own >= other)
            });
            if goes == going {
                break;
            }
            centres = [self.centre(&members, &stays), self.centre(&members, &goes)];
            going = goes;
        }
        going.into_iter().map(|at| members[at].micro).collect()
    }

    /// The centre of some members, of unit length.
    fn centre(&self, members: &[Candidate], some: &[usize]) -> Centre {
        let mut centre = vec![0.0f32; self.columns.lines()];
        for member in some.iter().map(|&at| &members[at]) {
            let mass = self.mass[member.micro];
            member.vector.iter().for_each(|&(term, value)| centre[term as usize] += mass * value);
        }
        let inverse = inverse_root(centre.iter().map(|value| value * value).sum());
        centre.iter_mut().for_each(|value| *value *= inverse);
        centre
    }
}

fn likeness(member: &Candidate, centre: &Centre) -> f32 {
    member.vector.iter().map(|&(term, value)| value * centre[term as usize]).sum()
}
