#include <vector>
class A {};
