"""The reference model in eager PyTorch: what training speed is compared with. Needs PyTorch, nothing of ours.

Usage: PYTHON_WITH_PYTORCH torch_loop.py BATCH   prints examples per second
"""

import sys
import time

import torch

LENGTH, IDS, WIDTH, HIDDEN = 20, 20, 15, 150


class Reference(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(IDS, WIDTH)
        self.q, self.k, self.v = (
            torch.nn.Parameter(torch.nn.init.xavier_uniform_(torch.empty(WIDTH, WIDTH))) for _ in range(3)
        )
        self.dense = torch.nn.Linear(LENGTH * WIDTH, HIDDEN)
        self.dbd = torch.nn.Linear(HIDDEN, IDS)

    def forward(self, ids):
        real = (ids != 0)[..., None]
        y = self.embed(ids) * real
        scores = (y @ self.q) @ (y @ self.k).transpose(1, 2) / WIDTH**0.5
        scores = scores.masked_fill(~real.transpose(1, 2), -1e38)
        y = torch.softmax(scores, -1) @ (y @ self.v) * real
        return self.dbd(torch.relu(self.dense(y.flatten(1))))


def main(batch: int) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Reference()
    assert sum(p.numel() for p in model.parameters()) == 49_145
    optimizer, loss = torch.optim.Adam(model.parameters()), torch.nn.CrossEntropyLoss()
    steps = max(200, 40_000 // batch)
    x, y = torch.randint(0, IDS, (steps, batch, LENGTH)), torch.randint(0, IDS, (steps, batch))
    for ids, target in zip(x[:50], y[:50], strict=True):
        step(model, optimizer, loss, ids, target)
    began = time.perf_counter()
    for ids, target in zip(x, y, strict=True):
        step(model, optimizer, loss, ids, target)
    print(steps * batch / (time.perf_counter() - began))


def step(model, optimizer, loss, ids, target):
    optimizer.zero_grad()
    loss(model(ids), target).backward()
    optimizer.step()


if __name__ == "__main__":
    main(int(sys.argv[1]))
