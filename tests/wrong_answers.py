"""Plausible wrong answers to the exercises: each a solution with one change, and what the grader must say of it."""

from __future__ import annotations

from typing import NamedTuple


class WrongAnswer(NamedTuple):
    """A solution in which `old` is replaced by `new`: which property must fail first, and what the report must contain."""

    exercise: str
    mistake: str
    old: str
    new: str
    fails: str
    says: str


WRONG_ANSWERS = [WrongAnswer(*each) for each in [
    # the content loss
    ("01_content", "no half", ".sum() / 2", ".sum()", "content_loss agrees with Eq. 1 on a 2×3", "yours / right = 2"),
    ("01_content", "square of the sum", "((F - P) ** 2).sum()", "(F - P).sum() ** 2", "content_loss agrees with Eq. 1 on a 2×3",
     "What is squared in Eq. 1"),
    ("01_content", "mean for sum", "** 2).sum()", "** 2).mean()", "content_loss agrees with Eq. 1 on a 2×3", "Is a mean a sum"),
    ("01_content", "sign", "(F - P) * (F > 0)", "(P - F) * (F > 0)", "content_gradient agrees with finite differences where F > 0",
     "The sign is wrong"),
    ("01_content", "factor 2", "return (F - P) * (F > 0)", "return 2 * (F - P) * (F > 0)",
     "content_gradient agrees with finite differences where F > 0", "Count the factors 2"),
    ("01_content", "missing mask", "(F - P) * (F > 0)", "F - P", "content_gradient is 0 where F is 0", "F = max(x, 0)"),
    ("01_content", "mask of P", "(F > 0)", "(P > 0)", "content_gradient agrees with finite differences where F > 0",
     "Take one entry"),
    ("01_content", "in place", "return (F - P) * (F > 0)", "on = F > 0\n    F -= P\n    return F * on",
     "content_gradient does not change what it is given", "F[0, 0] was 0.841471"),
    # the Gram matrix
    ("02_gram", "channels summed", "F @ F.T", "F.T @ F", "gram agrees with Eq. 3 on a 2×3 F", "yours has the shape (3, 3)"),
    ("02_gram", "mean over positions", "return F @ F.T", "return F @ F.T / F.shape[1]", "gram agrees with Eq. 3 on a 2×3 F",
     "= 1/M everywhere"),
    ("02_gram", "one of two", "(dG + dG.T) @ F", "dG @ F", "gram_backward agrees with finite differences for a symmetric dG",
     "F stands twice"),
    ("02_gram", "symmetry assumed", "(dG + dG.T) @ F", "2 * dG @ F", "gram_backward agrees with finite differences for any dG",
     "right only where dG is symmetric"),
    ("02_gram", "transposition", "return (dG + dG.T) @ F", "return ((dG + dG.T) @ F).T",
     "gram_backward agrees with finite differences for a symmetric dG", "This is the transpose"),
    # the style loss
    ("03_style", "N for M", "sum() / (4 * N**2 * M**2)", "sum() / (4 * N**4)", "style_loss agrees with Eq. 4 on a 3×5 F",
     "= M²/N²"),
    ("03_style", "no square", "@ F / (N**2 * M**2)", "@ F / (N * M)", "style_gradient agrees with finite differences where F > 0",
     "= N M everywhere"),
    ("03_style", "style features", "@ F / (N**2", "@ S / (N**2", "style_gradient agrees with finite differences where F > 0",
     "The painting's features stand still"),
    ("03_style", "Gram matrix of F alone", "    return (F @ F.T - S @ S.T) @ F", "    return (F @ F.T) @ F",
     "style_gradient agrees with finite differences where F > 0", "Nothing of A is in yours"),
    ("03_style", "missing mask", " * (F > 0)", "", "style_gradient is 0 where F is 0", "F = max(x, 0)"),
    ("03_style", "float32 cast", "return (F @ F.T - S @ S.T) @ F", "F = F.astype(\"f4\")\n    return (F @ F.T - S @ S.T) @ F",
     "style_gradient agrees with finite differences where F > 0", "seven digits of float32"),
    # the total loss
    ("04_total", "α and β", "w, alpha, beta):", "w, beta, alpha):", "total_loss agrees with Eqs. 5 and 7", "Which of α and β"),
    ("04_total", "no w in L", "beta * w[layer] * E\n", "beta * E\n", "total_loss agrees with Eqs. 5 and 7", "without the w of Eq. 5"),
    ("04_total", "no w in the gradient", "beta * w[layer] * dE", "beta * dE", "total_loss has the gradients of finite differences",
     "L has weights"),
    ("04_total", "one loss in place of two", "dF[layer] += beta", "dF[layer] = beta",
     "total_loss has the gradients where one layer has two losses", "taken the other's place"),
    ("04_total", "layers without a loss", "for layer, features in F.items()}", "for layer, features in F.items() if layer in "
     "{**content, **style}}", "total_loss has a gradient for a layer without a loss", "A layer without a loss has a gradient"),
    # the rectifier
    ("05_relu", "mask of dy", "dy * (x > 0)", "np.maximum(dy, 0)", "relu_backward agrees with finite differences",
     "its own sign"),
    ("05_relu", "guided", "dy * (x > 0)", "np.maximum(dy, 0) * (x > 0)", "relu_backward agrees with finite differences",
     "Does the sign of dy matter"),
    ("05_relu", "value for slope", "dy * (x > 0)", "dy * relu(x)", "relu_backward agrees with finite differences",
     "the same for x = 1 and x = 2"),
    ("05_relu", "kink", "(x > 0)", "(x >= 0)", "relu_backward is 0 where x is exactly 0", "which number to take"),
    ("05_relu", "in place", "np.maximum(x, 0)", "np.maximum(x, 0, out=x)", "relu does not change what it is given", "out="),
    # pooling
    ("06_pooling", "no quarter", "dy / 4", "dy", "average_pool_backward agrees with finite differences on a 4×6", "their mean rise"),
    ("06_pooling", "average for maximum", "dy * (winner == number)", "dy / 4", "max_pool_backward agrees with finite differences on "
     "a 4×6", "the way back of a mean"),
    ("06_pooling", "all of equals", "dy * (winner == number)", "dy * (windows(x)[number] == np.max(windows(x), axis=0))",
     "max_pool_backward gives to the first of equals", "once for each of the equals"),
    ("06_pooling", "last of equals", "np.argmax(windows(x), axis=0)", "3 - np.argmax(windows(x)[::-1], axis=0)",
     "max_pool_backward gives to the first of equals", "Among equals the last has won"),
    ("06_pooling", "odd size, off by one", "    for element in windows(dx):\n        element[...] = dy / 4\n    return dx",
     "    grown = (dy / 4).repeat(2, 0).repeat(2, 1)\n    dx[x.shape[0] % 2 :, x.shape[1] % 2 :] = grown\n    return dx",
     "average_pool_backward agrees with finite differences on a 5×7", "the first or the last"),
    ("06_pooling", "even sizes only", "    for element in windows(dx):\n        element[...] = dy / 4\n    return dx",
     "    return (dy / 4).repeat(2, 0).repeat(2, 1)", "average_pool_backward agrees with finite differences on a 5×7",
     "has the shape (4, 6, 2)"),
    # convolution
    ("07_convolution", "no bias", "return bias + correlate", "return correlate", "convolution agrees with the definition on a 4×5",
     "said of the bias"),
    ("07_convolution", "turned forward", "@ kernel[a, b]", "@ kernel[2 - a, 2 - b]", "convolution agrees with the definition on a 4×5",
     "turned by 180°"),
    ("07_convolution", "a and b", "@ kernel[a, b]", "@ kernel[b, a]", "convolution agrees with the definition on a 4×5",
     "rows and columns are exchanged"),
    ("07_convolution", "opposite edge", "np.pad(x, ((1, 1), (1, 1), (0, 0)))", "np.pad(x, ((1, 1), (1, 1), (0, 0)), mode=\"wrap\")",
     "convolution agrees with the definition on a 4×5", "opposite edge"),
    ("07_convolution", "stale padding", "    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))\n",
     "    key = x.shape\n    padded = KEPT.setdefault(key, np.pad(x, ((1, 1), (1, 1), (0, 0))))\n",
     "convolution is right again for other numbers", "kept from one call"),
    ("07_convolution", "not turned", "kernel[::-1, ::-1]", "kernel", "convolution_backward agrees with finite differences on a 4×5",
     "Which way do you go along it"),
    ("07_convolution", "turned by half", "kernel[::-1, ::-1]", "kernel[::-1]", "convolution_backward agrees with finite differences "
     "on a 4×5", "its columns are not"),
    ("07_convolution", "channels", "turned.swapaxes(2, 3)", "turned", "convolution_backward agrees with finite differences on a 4×5",
     "Write the shape beside each factor"),
    ("07_convolution", "off by one", "padded[a : a + height, b", "np.pad(padded, ((1, 0), (0, 0), (0, 0)))[a : a + height, b",
     "convolution agrees with the definition on a 4×5", "one place off"),
    # total variation
    ("08_variation", "one direction", "(np.diff(x, axis=0) ** 2).sum() + ", "", "total_variation agrees with the definition on a 4×5",
     "one direction only"),
    ("08_variation", "absolute values", "return (np.diff(x, axis=0) ** 2).sum() + (np.diff(x, axis=1) ** 2).sum()",
     "return abs(np.diff(x, axis=0)).sum() + abs(np.diff(x, axis=1)).sum()",
     "total_variation agrees with the definition on a 4×5", "to be squared"),
    ("08_variation", "half of the pixels", "    dx[:-1] -= down\n    dx[:, 1:] += across\n    dx[:, :-1] -= across\n",
     "    dx[:, 1:] += across\n", "total_variation_gradient agrees with finite differences on a 4×5", "one of these two parts"),
    ("08_variation", "both signs alike", "    dx[:-1] -= down\n    dx[:, 1:] += across\n    dx[:, :-1] -= across\n",
     "    dx[:-1] += down\n    dx[:, 1:] += across\n    dx[:, :-1] += across\n",
     "total_variation_gradient agrees with finite differences on a 4×5", "One of the two pixels"),
    ("08_variation", "no 2", "2 * np.diff(x, axis=0), 2 * np.diff(x, axis=1)", "np.diff(x, axis=0), np.diff(x, axis=1)",
     "total_variation_gradient agrees with finite differences on a 4×5", "yours / right = 0.5"),
    # the chain
    ("09_chain", "in order", "reversed(way_back)", "way_back", "value_and_gradient has the right value", "ValueError"),
    ("09_chain", "one gradient in place of two", "backward(dx + dF)", "backward(dF if dF.any() else dx)",
     "value_and_gradient has the gradient of finite differences with losses after layers 1 and 2", "alone"),
    ("09_chain", "added after the way back", "    for backward, dF in reversed(way_back):\n        dx = backward(dx + dF)\n",
     "    for backward, dF in reversed(way_back):\n        dx = backward(dx if dx.any() else dF) + 0 * dF.sum()\n",
     "value_and_gradient has the gradient of finite differences with losses after layers 1 and 2", "alone"),
    ("09_chain", "a way back for each loss", "    dx = np.zeros_like(x)\n    for backward, dF in reversed(way_back):\n"
     "        dx = backward(dx + dF)\n    return L, dx",
     "    total = 0\n    for top in range(len(way_back)):\n        dx = way_back[top][1]\n"
     "        for backward, _ in reversed(way_back[: top + 1]):\n            dx = backward(dx)\n        total = total + dx\n"
     "    return L, total", "value_and_gradient goes once up and once down", "two ways back"),
    # Wasserstein
    ("10_wasserstein", "M − 1", "(F - mu).T / F.shape[1]", "(F - mu).T / (F.shape[1] - 1)", "wasserstein agrees with the definition",
     "Do you divide by M"),
    ("10_wasserstein", "moments for covariance", "(F - mu) @ (F - mu).T", "F @ F.T", "wasserstein agrees with the definition",
     "where is μ taken off"),
    ("10_wasserstein", "the map back", "    half = root(S)\n    return half @ np.linalg.inv(root(half @ C @ half)) @ half",
     "    half = root(C)\n    return half @ np.linalg.inv(root(half @ S @ half)) @ half",
     "transport takes deviation 2 to 3", "takes S to C"),
    ("10_wasserstein", "not symmetric", "    half = root(S)\n    return half @ np.linalg.inv(root(half @ C @ half)) @ half",
     "    return np.linalg.cholesky(S) @ np.linalg.inv(np.linalg.cholesky(C))", "transport takes C to S", "T is symmetric"),
    ("10_wasserstein", "no mean taken off", "transport(C, S) @ (F - mu)", "transport(C, S) @ F",
     "wasserstein_gradient agrees with finite differences", "What do you give it"),
    ("10_wasserstein", "N for M", "2 / F.shape[1]", "2 / F.shape[0]", "wasserstein_gradient agrees with finite differences",
     "= M/N everywhere"),
    # a loss of one's own
    ("11_own_loss", "a mean", "counts(F).sum(axis=1)", "counts(F).mean(axis=1)", "statistic adds up", "A mean over positions"),
    ("11_own_loss", "places counted", "counts(F).sum(axis=1)", "(counts(F) * np.arange(F.shape[1])[:, None]).sum(axis=1)",
     "statistic adds up", "hint:"),
    ("11_own_loss", "target forgotten", "s / M - target", "s / M", "value_and_gradient is 0 for the painting itself", "What do you compare"),
    ("11_own_loss", "M forgotten", "2 * difference / M", "2 * difference", "value_and_gradient has the gradient ds", "= M everywhere"),
    ("11_own_loss", "chain rule", "/ WIDTH**2\n", "/ WIDTH\n", "pull_back has the gradient dF", "a constant factor is not"),
    ("11_own_loss", "sign", "(CENTRES - F[:, :, None]) / WIDTH**2", "(F[:, :, None] - CENTRES) / WIDTH**2",
     "pull_back has the gradient dF", "The sign is wrong"),
    ("11_own_loss", "first of two exponents", "(difference**2).sum()", "difference.sum()", "value_and_gradient is above 0", "E is -0.00"),
]]
