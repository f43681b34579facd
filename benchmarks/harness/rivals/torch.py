"""PyTorch, on the CPU and on CUDA."""

from typing import Any

import numpy as np

from harness.rivals.base import FACTOR, Array, Labeller, Rival
from harness.workload import digits, untrained

_PLACES = {"cpu": "cpu", "gpu": "cuda"}


class Torch(Rival):
    """A module in inference mode."""

    def __init__(self, device: str, threads: int, **options: Any) -> None:
        import torch

        super().__init__(device, threads, **options)
        self._torch, self.place = torch, _PLACES[device]
        torch.set_num_threads(threads)

    def obstacle(self) -> str:
        """Return why it cannot use the device; an empty string if it can."""
        has_device = self.device == "cpu" or self._torch.cuda.is_available()
        return "" if has_device else "this torch finds no GPU"

    def labeller(self, workload: Any) -> Labeller:
        """Return the forward pass, from the cast to argmax, in inference mode."""
        torch, place = self._torch, self.place
        module = module_of(torch, workload.parameters, workload.shape.activation).to(place)

        def predict(images: Array) -> Array:
            with torch.inference_mode():
                x = torch.from_numpy(images).to(place).float() * FACTOR
                return np.asarray(module(x).argmax(1).cpu())

        return predict


def module_of(torch: Any, parameters: Any, activation: str) -> Any:
    """Return a sequence of layers with these weights and biases."""
    nn = torch.nn
    kinds = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}
    modules: list[Any] = []
    for weight, bias in parameters:
        linear = nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T.copy()))
            linear.bias.copy_(torch.from_numpy(bias.copy()))
        modules += [linear, kinds[activation]()]
    return nn.Sequential(*modules[:-1]).eval()


class Training:
    """Training by Adam, of rows that are float32 before it starts."""

    def __init__(self, n_rows: int, device: str, threads: int, **options: Any) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch, self.place = torch, _PLACES[device]
        images, labels = digits(n_rows)
        self._rows = torch.from_numpy(images).to(self.place).to(torch.float32) * FACTOR
        self._labels = torch.from_numpy(labels).to(self.place)
        parameters = [(layer.weight, layer.bias) for layer in untrained().layers]
        self._model = module_of(torch, parameters, "sigmoid").train().to(self.place)
        self._options = options

    def epoch(self, order: Array, batch_size: int, rate: float) -> None:
        """Train on the images in this order."""
        torch, model = self._torch, self._model
        if not hasattr(self, "_optimizer"):
            self._optimizer = torch.optim.Adam(model.parameters(), lr=rate, **self._options)
        indices = torch.from_numpy(order).to(self.place)
        for first in range(0, len(order), batch_size):
            chosen = indices[first : first + batch_size]
            loss = torch.nn.functional.cross_entropy(
                model(self._rows[chosen]), self._labels[chosen]
            )
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
        if self.place == "cuda":
            torch.cuda.synchronize()

    def parameters(self) -> list[Array]:
        """Return weights and biases."""
        return [p.detach().cpu().numpy().T for p in self._model.parameters()]
