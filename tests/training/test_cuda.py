"""On a GPU, where there is one: a run gives the same bits again, and schedules reach captured and fused updates."""

import pytest
import torch

import calando
from calando.study.build_spec import build_run
from calando.study.limits import Budget, Machine
from calando.training.loop import Interrupted, execute

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_on_cuda_resumes_to_the_bit(tmp_path, precision):
    images, labels = torch.randint(0, 255, (256, 3, 32, 32), dtype=torch.uint8), torch.arange(256) % 4
    mine = calando.workload(train=(images, labels), test=(images, labels), model="resnet8", batch_size=32)
    machine = Machine(device="cuda", precision=precision)
    spec, _ = build_run(mine, "adamw(lr=0.01) | cosine(1, 0)", budget=Budget(steps=20), machine=machine)
    alone = execute(spec, mine)
    assert spec.lane.channels_last
    left = [7]

    def watch(_state) -> bool:
        left[0] -= 1
        return left[0] == 0

    with pytest.raises(Interrupted):
        execute(spec, mine, folder=tmp_path, watch=watch)
    again = execute(spec, mine, folder=tmp_path)
    assert again.losses.tobytes() == alone.losses.tobytes()
    assert again.evaluations == alone.evaluations


@pytest.mark.filterwarnings("ignore:This instance was constructed with capturable=True:UserWarning")
def test_a_captured_update_sees_the_rates_that_the_scheduler_writes():
    def build() -> tuple[torch.optim.Optimizer, torch.nn.Parameter, calando.LRScheduler]:
        parameter = torch.nn.Parameter(torch.ones(4, device="cuda"))
        parameter.grad = torch.ones_like(parameter)
        optimizer = torch.optim.Adam([parameter], lr=torch.tensor(0.1, device="cuda"), capturable=True)
        return optimizer, parameter, calando.LRScheduler(optimizer, "cosine(1, 0)", total_steps=20)

    optimizer, eager, scheduler = build()
    for _ in range(3 + 20):
        optimizer.step()
        scheduler.step()

    optimizer, captured, scheduler = build()
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            optimizer.step()
            scheduler.step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        optimizer.step()
    for _ in range(20):
        graph.replay()
        scheduler.step()
    torch.testing.assert_close(captured, eager, rtol=1e-6, atol=0)


@pytest.mark.parametrize("fused", [False, True])
def test_an_update_that_the_gradient_scaler_skips_does_not_count(fused):
    parameter = torch.nn.Parameter(torch.ones(4, device="cuda"))
    optimizer = torch.optim.AdamW([parameter], lr=0.1, fused=fused)
    attached = calando.attach(optimizer, "linear(1, 0)", total_steps=10)
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0)
    for batch in range(6):
        scaler.scale((parameter * (torch.inf if batch % 3 == 0 else 1.0)).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    assert attached.step == 4
    assert attached.get_last_lr() == [pytest.approx(0.07)]
