"""fastnn: neural networks that train and predict at the limit of the machine, from readable Python."""

from fastnn import config, ops
from fastnn.autograd import gradcheck, no_grad
from fastnn.recording import record
from fastnn.tensor import Tensor, Variable, tensor
