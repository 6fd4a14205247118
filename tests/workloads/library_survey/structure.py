"""Structure of a source: its functions, how deep they nest and how many ways lead through."""

import ast
import dataclasses

BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension,
            ast.BoolOp, ast.Assert)
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try)


@dataclasses.dataclass(order=True)
class Function:
    complexity: int
    depth: int
    module: str
    name: str
    line: int


class FunctionFinder(ast.NodeVisitor):
    """Collects the functions of one module, methods and nested ones by their qualified name."""

    def __init__(self, module):
        self.module = module
        self.functions = []
        self.scope = []

    def visit_ClassDef(self, node):
        self._visit_scope(node)

    def visit_FunctionDef(self, node):
        self.functions.append(Function(complexity_of(node), depth_of(node), self.module,
                                       ".".join(self.scope + [node.name]), node.lineno))
        self._visit_scope(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def _visit_scope(self, node):
        self.scope.append(node.name)
        self.generic_visit(node)
        self.scope.pop()


def complexity_of(function):
    """McCabe's number: one, and one more for each place where the way forks."""
    return 1 + sum(isinstance(node, BRANCHES) for node in ast.walk(function))


def depth_of(node):
    """How many blocks enclose the innermost statement."""
    inner = max((depth_of(child) for child in ast.iter_child_nodes(node)), default=0)
    return inner + isinstance(node, BLOCKS)


def functions_of(source, module):
    finder = FunctionFinder(module)
    finder.visit(ast.parse(source))
    return finder.functions
