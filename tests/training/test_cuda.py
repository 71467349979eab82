"""On a GPU, where there is one: the same run twice, and resumed, gives the same bits there too."""

import pytest
import torch

import calando
from calando.engine.ask import ask_run
from calando.engine.limits import Budget, Machine
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
    spec, _ = ask_run(mine, "adamw(lr=0.01) | cosine(1, 0)", budget=Budget(steps=20), machine=machine)
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
