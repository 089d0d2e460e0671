from itertools import combinations, pairwise

import pytest

from jaxgraphs.inspect import layered as layered_module
from jaxgraphs.inspect.diagram import diagram_of
from jaxgraphs.inspect.layered import layered
from jaxgraphs.inspect.scene import DIRECTIONS, scene_of, segments, text_width
from tests.inspect import graphs

CASES = [*(graphs.mixed(seed) for seed in range(6)), graphs.nested(), graphs.residual(6)]


def overlap(a, b, slack=0.0):
    """Whether two boxes have a point in common."""
    across = a.x + a.width > b.x + slack and b.x + b.width > a.x + slack
    return across and a.y + a.height > b.y + slack and b.y + b.height > a.y + slack


def inside(point, box, slack=0.6):
    x, y = point
    return box.x + slack < x < box.x + box.width - slack and box.y + slack < y < box.y + box.height - slack


def points_on(route, is_sideways):
    """Points along a route, close together."""
    for piece in segments(route, is_sideways):
        for step in range(9):
            t = step / 8
            weights = (1 - t, t) if len(piece) == 2 else ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            yield tuple(sum(w * p[axis] for w, p in zip(weights, piece, strict=True)) for axis in (0, 1))


@pytest.mark.parametrize("rankdir", DIRECTIONS)
@pytest.mark.parametrize("graph", CASES, ids=lambda graph: graph.name)
def test_no_box_overlaps_another_and_no_edge_crosses_a_box(graph, rankdir):  # oracle: geometry
    scene = scene_of(diagram_of(graph, expand_nested=True), rankdir)
    for one, other in combinations(scene.boxes, 2):
        # A box may lie within the frame of the graph that it is in.
        is_framed = one.box.path == other.box.path[: len(one.box.path)] and one.box.inside is not None
        assert is_framed or not overlap(one, other), (one.box.path, other.box.path)
    leaves = [placed for placed in scene.boxes if placed.box.inside is None]
    for route in scene.routes:
        for point in points_on(route, scene.is_sideways):
            assert not any(inside(point, placed) for placed in leaves)
    for placed in scene.boxes:
        assert placed.x >= 0
        assert placed.y >= 0
        assert placed.x + placed.width <= scene.width
        assert placed.y + placed.height <= scene.height


def test_nested_boxes_lie_within_their_frames():  # oracle: geometry
    scene = scene_of(diagram_of(graphs.nested(), expand_nested=True))
    frames = [placed for placed in scene.boxes if placed.box.inside is not None]
    assert [frame.box.title for frame in frames] == ["inner", "pair"]
    for frame in frames:
        held = [placed for placed in scene.boxes if placed.box in frame.box.inside.boxes]
        assert held
        for placed in held:
            assert frame.x < placed.x
            assert frame.y < placed.y
            assert placed.x + placed.width < frame.x + frame.width
            assert placed.y + placed.height < frame.y + frame.height


@pytest.mark.parametrize("graph", CASES, ids=lambda graph: graph.name)
def test_texts_fit_their_boxes(graph):  # oracle: the width of fixed-width letters
    from jaxgraphs.inspect.diagram import shortened
    from jaxgraphs.inspect.scene import FONT

    for placed in scene_of(diagram_of(graph)).boxes:
        assert all(text_width(shortened(line), FONT) < placed.width for line in (placed.box.title, *placed.box.lines))


def test_every_edge_leads_downwards_from_its_source_to_its_target():  # oracle: the diagram
    diagram = diagram_of(graphs.mixed(3))
    scene = scene_of(diagram)
    for (source, target), route in zip(diagram.links, scene.routes, strict=True):
        start, end = scene.boxes[source], scene.boxes[target]
        assert route[0] == pytest.approx((start.x + start.width / 2, start.y + start.height))
        assert route[-1][1] == pytest.approx(end.y)
        assert end.x < route[-1][0] < end.x + end.width
        assert all(one[1] <= other[1] for one, other in pairwise(route))


def test_a_branch_is_a_column():  # oracle: equal middles
    sizes = [(60.0, 20.0), (40.0, 20.0), (90.0, 20.0), (50.0, 20.0), (50.0, 20.0), (30.0, 20.0), (60.0, 20.0)]
    layout = layered(sizes, [(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (3, 6), (5, 6)])
    assert layout.centres[1][0] == pytest.approx(layout.centres[2][0]) == pytest.approx(layout.centres[3][0])
    assert layout.centres[4][0] == pytest.approx(layout.centres[5][0])


def test_a_planar_graph_is_drawn_without_crossings():  # oracle: order of ends in each gap
    edges = [(0, 1), (0, 2), (0, 3), (1, 6), (2, 5), (3, 4), (4, 7), (5, 7), (6, 7)]
    centres = layered([(40.0, 20.0)] * 8, edges).centres
    upper = sorted((1, 2, 3), key=lambda box: centres[box][0])
    lower = sorted((4, 5, 6), key=lambda box: centres[box][0])
    assert [7 - box for box in upper] == lower


def test_a_single_box_and_none():  # oracle: by hand
    assert layered([(40.0, 20.0)], []).centres == ((20.0, 10.0),)
    assert layered([], []).width == 0.0


def test_beyond_many_places_long_edges_run_along_the_side(monkeypatch):  # oracle: geometry
    monkeypatch.setattr(layered_module, "MOST_PLACES", 0)
    scene = scene_of(diagram_of(graphs.residual(4)))
    boxes = max(placed.x + placed.width for placed in scene.boxes)
    assert max(x for route in scene.routes for x, _ in route) > boxes
    for route in scene.routes:
        for point in points_on(route, False):
            assert not any(inside(point, placed) for placed in scene.boxes)
    assert max(x for route in scene.routes for x, _ in route) < scene.width
