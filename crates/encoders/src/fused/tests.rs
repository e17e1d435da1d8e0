//! What earlier images leave in the buffers must not matter.

use oodlab_kernels::simd::{AlignedBuffer, InstructionSet, has_bf16};

use super::{Program, Scratch, Workspace, build};
use crate::encoder::{Pooling, Precision};
use crate::fold::{HeadPolicy, fold_tensors};
use crate::formula;
use crate::network::Network;

fn program(name: &str, precision: Precision) -> Program {
    let network = Network::named(name).expect("a known network");
    let weights = formula::weights(name).expect("a known network");
    let tensors = fold_tensors(&network, &weights, HeadPolicy::Keep).expect("its own weights");
    let side = if network.fixed_resolution { network.nominal_resolution as usize } else { 40 };
    build(&network, &tensors, side, (Pooling::Average, precision), InstructionSet::detect()).expect("builds")
}

fn encode(program: &Program, workspace: &mut Workspace) -> (Vec<f32>, Vec<f32>) {
    let side = program.resolution;
    workspace.image(3 * side * side).copy_from_slice(&formula::images(1, side));
    let (mut features, mut logits) = (vec![0.0; program.width], vec![0.0; program.classes()]);
    program.run(workspace, &mut features, &mut logits).expect("runs");
    (features, logits)
}

/// Every buffer, as long as it is, filled with what would show.
fn poison(workspace: &mut Workspace) {
    let Scratch { strip, filtered, sums, squeezed, gate, gated_weights, pooled } = &mut workspace.scratch;
    let scratch = [strip, filtered, sums, squeezed, gate, gated_weights, pooled];
    let fill = |buffer: &mut AlignedBuffer| buffer.fill(f32::NAN);
    scratch.into_iter().for_each(fill);
    workspace.maps.iter_mut().for_each(fill);
}

/// One network of each family, to the bit.
#[test]
fn a_used_workspace_is_as_good_as_a_new_one() {
    let names = ["efficientnet-b0", "efficientnet-lite0", "resnet18", "resnet20", "densenet100", "wrn-40-2", "vit-b16"];
    for name in names {
        for precision in [Precision::F32, Precision::Bf16] {
            if precision == Precision::Bf16 && !has_bf16() {
                continue;
            }
            let program = program(name, precision);
            let mut workspace = Workspace::default();
            let fresh = encode(&program, &mut workspace);
            assert!(fresh.0.iter().all(|value| value.is_finite()), "{name}");
            poison(&mut workspace);
            assert!(encode(&program, &mut workspace) == fresh, "{name} {precision:?}");
        }
    }
}
