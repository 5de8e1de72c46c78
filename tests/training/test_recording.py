"""What parts of a module get and return is recorded on a private view; the module never notices."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from skal.nets import MLP
from skal.training.recording import EmbeddingRecorder, Recorder, private_view

X = torch.linspace(-1, 1, 24).reshape(6, 4)


class Net(nn.Module):
    """Parts in a list, a tuple, a dict and a bound method, one part twice, and state of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.again = self.first
        self.parts = [self.first, (self.norm, {"head": nn.Linear(4, 2)})]
        self.add_module("head", self.parts[1][1]["head"])
        self.run = self.head.forward
        self.seen = 0

    def forward(self, x):
        self.seen += 1
        return self.parts[1][1]["head"](self.parts[1][0](self.again(self.parts[0](x))))


def snapshot(module):
    return [
        (id(part), part.training, {name: len(value) for name, value in vars(part).items() if "hooks" in name})
        for part in module.modules()
    ]


def test_a_view_computes_the_same_and_shares_the_weights():
    net = Net().eval()
    view = private_view(net)
    assert torch.equal(view(X), net(X))
    assert {name: id(tensor) for name, tensor in view.state_dict(keep_vars=True).items()} == {
        name: id(tensor) for name, tensor in net.state_dict(keep_vars=True).items()
    }
    view(X).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_parts_of_a_view_are_its_own_wherever_they_lie():
    net = Net().eval()
    view = private_view(net)
    assert not set(map(id, net.modules())) & set(map(id, view.modules()))
    assert view.again is view.first is view.parts[0]
    assert view.parts[1][0] is view.norm
    assert view.parts[1][1]["head"] is view.head is view.run.__self__


def test_nothing_that_is_done_to_a_view_reaches_the_module():
    net = Net().eval()
    before = snapshot(net)
    view = private_view(net).train()
    view.head.register_forward_hook(lambda *_: pytest.fail("not of the module"))
    view.first.register_forward_pre_hook(lambda *_: pytest.fail("not of the module"))
    net(X)
    assert snapshot(net) == before
    assert net.seen == 1
    assert view.seen == 0


def test_hooks_of_the_module_run_in_its_view():
    net = nn.Sequential(nn.Linear(4, 2))
    net[0].register_forward_hook(lambda part, inputs, output: output + 1)
    assert torch.equal(private_view(net)(X), net(X))


def test_batch_normalisation_of_a_view_in_training_is_that_of_the_module():
    net = Net().eval()
    private_view(net).train()(X)
    assert net.norm.num_batches_tracked == 1
    assert not torch.equal(net.norm.running_mean, torch.zeros(4))


def test_a_view_of_a_compiled_module_is_one_of_what_was_compiled():
    net = nn.Sequential(nn.Linear(4, 2))
    compiled = torch.compile(net, backend="eager")
    assert type(private_view(compiled)) is nn.Sequential
    net.compile(backend="eager")
    assert private_view(net)._compiled_call_impl is None


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:FutureWarning")
def test_torchscript_is_shared():
    net = nn.Sequential(torch.jit.script(nn.ReLU()))
    assert private_view(net)[0] is net[0]


def test_a_recorder_returns_what_a_part_gets_or_returns():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    recorder = Recorder(net)
    recorder.record_output(recorder.view[1])
    output, recorded = recorder(X)
    assert torch.equal(output, net(X))
    assert torch.equal(recorded, net[:2](X))
    assert recorder.last == []
    recorder = Recorder(net)
    recorder.record_input(recorder.view[1])
    assert torch.equal(recorder(X)[1], net[0](X))


def test_embeddings_are_what_embed_returns_or_what_the_head_gets():
    mlp = MLP(input_shape=(4,), n_classes=2, hidden=(5,)).eval()
    output, embeddings = EmbeddingRecorder(mlp, 2)(X)
    assert torch.equal(output, mlp(X))
    assert torch.equal(embeddings, mlp.embed(X))

    net = Net().eval()
    assert torch.equal(EmbeddingRecorder(net, 2)(X)[1], net.norm(net.first(net.first(X))))

    class Aside(nn.Module):
        def embed(self, x):
            return x[:, None, :3]

        def forward(self, x):
            return x[:, :2]

    output, embeddings = EmbeddingRecorder(Aside(), 2)(X)  # forward does not go through embed
    assert torch.equal(output, X[:, :2])
    assert torch.equal(embeddings, X[:, :3])


def test_a_module_without_an_embedding_is_refused():
    with pytest.raises(TypeError, match=r"ReLU has no penultimate embedding: give it a method embed"):
        EmbeddingRecorder(nn.ReLU(), 2)


def test_a_part_that_does_not_run_is_an_error():
    net = nn.Sequential(nn.Linear(4, 2))
    net.idle = nn.Linear(4, 2)
    net.forward = net[0].forward
    with pytest.raises(RuntimeError, match="Sequential ran none of the parts to record"):
        EmbeddingRecorder(net, 2)(X)


def test_recorders_of_several_threads_do_not_meet():
    mlp = MLP(input_shape=(4,), n_classes=2, hidden=(5,)).eval()
    expected = [EmbeddingRecorder(mlp, 2)(X + i)[1] for i in range(8)]

    def ask(i):
        return all(torch.equal(EmbeddingRecorder(mlp, 2)(X + i)[1], expected[i]) for _ in range(50))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(8)))
